//! Who may ask, by name and password, and how often somebody may be wrong.
//!
//! A password is compared by bcrypt, which is slow on purpose: so what was right once is remembered, each address may be wrong a few
//! times and then from time to time, and never are two passwords compared at once. Must not know what is asked for.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};

/// The highest cost of a bcrypt that is taken: about a second of CPU time.
const COST_MAX: u32 = 14;
/// How often an address may be wrong at once,
const WRONG_AT_ONCE: u32 = 5;
/// and how long it takes until it may be wrong once more.
const WRONG_EVERY: Duration = Duration::from_secs(2);
/// Most addresses that are remembered as having been wrong; the eldest makes room.
const ADDRESSES_MAX: usize = 256;
/// Most passwords remembered as right.
const RIGHT_MAX: usize = 16;
/// Longest name or password.
const LENGTH_MAX: usize = 256;

/// Users, and what is remembered of those who asked.
pub struct Users {
    hashes: BTreeMap<String, String>,
    /// Compared with where there is no such user, so that it takes as long.
    nobody: String,
    key: hmac::Key,
    remembered: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    right: VecDeque<hmac::Tag>,
    /// When each address would have all of its tries again, the eldest first.
    wrong: VecDeque<(IpAddr, Instant)>,
}

/// What is known of credentials at once.
pub enum Checked {
    /// They were right before.
    Right,
    /// Nobody gave any, or they are none.
    Missing,
    /// This address was wrong too often: not before so much more time.
    TooOften(Duration),
    /// They have to be compared.
    Unknown(Credentials),
}

/// What somebody claims.
pub struct Credentials {
    name: String,
    password: String,
}

impl Users {
    /// Fails where a hash is none, or takes too long.
    pub fn new(hashes: BTreeMap<String, String>) -> Result<Self, String> {
        let mut cost_most = 4;
        for (name, hash) in &hashes {
            let parts: bcrypt::HashParts =
                hash.parse().map_err(|error| format!("basic_auth_users: {name}: no bcrypt hash: {error}"))?;
            let cost = parts.get_cost();
            if cost > COST_MAX {
                return Err(format!(
                    "basic_auth_users: {name}: the cost {cost} of the hash is more than {COST_MAX}: each try would take \
                     seconds of CPU time"
                ));
            }
            cost_most = cost_most.max(cost);
        }
        let random = SystemRandom::new();
        let mut secret = [0; 32];
        random.fill(&mut secret).map_err(|_| "no random numbers are to be had".to_owned())?;
        let nobody = bcrypt::hash(secret, cost_most).map_err(|error| error.to_string())?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        Ok(Self { hashes, nobody, key, remembered: Mutex::default() })
    }

    /// What is known of the credentials of an Authorization header without any work.
    pub fn check(&self, authorization: Option<&str>, address: IpAddr, now: Instant) -> Checked {
        let Some(credentials) = authorization.and_then(Credentials::parse) else { return Checked::Missing };
        let tagged = self.tagged(&credentials);
        let mut remembered = self.remembered();
        if remembered.right.iter().any(|tag| hmac::verify(&self.key, &tagged, tag.as_ref()).is_ok()) {
            return Checked::Right;
        }
        match remembered.may_try(address, now) {
            Ok(()) => Checked::Unknown(credentials),
            Err(wait) => Checked::TooOften(wait),
        }
    }

    /// Whether they are right. Takes as long as bcrypt does; a try that is right does not count.
    pub fn are_right(&self, credentials: &Credentials, address: IpAddr) -> bool {
        let known = self.hashes.get(&credentials.name);
        let hash = known.unwrap_or(&self.nobody);
        let is_right = bcrypt::verify(&credentials.password, hash).unwrap_or(false) && known.is_some();
        if is_right {
            let mut remembered = self.remembered();
            remembered.wrong.retain(|(other, _)| *other != address);
            if remembered.right.len() >= RIGHT_MAX {
                remembered.right.pop_front();
            }
            remembered.right.push_back(hmac::sign(&self.key, &self.tagged(credentials)));
        }
        is_right
    }

    fn tagged(&self, credentials: &Credentials) -> Vec<u8> {
        [credentials.name.as_bytes(), b"\0", credentials.password.as_bytes()].concat()
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    /// Takes one of the tries of an address, or says how long it has to wait for one.
    fn may_try(&mut self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        self.wrong.retain(|(_, full)| *full > now);
        let place = self.wrong.iter().position(|(other, _)| *other == address);
        let full = place.map_or(now, |place| self.wrong[place].1);
        let after = full + WRONG_EVERY;
        let most = now + WRONG_EVERY * WRONG_AT_ONCE;
        if after > most {
            return Err(after - most);
        }
        if let Some(place) = place {
            self.wrong.remove(place);
        }
        if self.wrong.len() >= ADDRESSES_MAX {
            self.wrong.pop_front();
        }
        self.wrong.push_back((address, after));
        Ok(())
    }
}

impl Credentials {
    fn parse(authorization: &str) -> Option<Self> {
        let (scheme, encoded) = authorization.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > 4 * LENGTH_MAX {
            return None;
        }
        let decoded =
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded.trim()).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (name, password) = decoded.split_once(':')?;
        let fits = name.len() <= LENGTH_MAX && password.len() <= LENGTH_MAX;
        fits.then(|| Self { name: name.to_owned(), password: password.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn users(cost: u32) -> Result<Users, String> {
        let hash = bcrypt::hash("right", cost.min(6)).expect("a hash");
        let hash = hash.replacen("$06$", &format!("${cost:02}$"), 1);
        Users::new([("alice".to_owned(), hash)].into())
    }

    fn header(credentials: &str) -> String {
        use base64::Engine;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(credentials))
    }

    fn is_right(users: &Users, credentials: &str, now: Instant) -> Option<bool> {
        match users.check(Some(&header(credentials)), ADDRESS, now) {
            Checked::Right => Some(true),
            Checked::Unknown(credentials) => Some(users.are_right(&credentials, ADDRESS)),
            Checked::Missing | Checked::TooOften(_) => None,
        }
    }

    #[test]
    fn only_the_right_name_with_the_right_password_is_let_in() {
        let (users, now) = (users(6).expect("users"), Instant::now());
        for (credentials, expected) in
            [("alice:right", true), ("alice:wrong", false), ("bob:right", false), ("alice:", false)]
        {
            assert_eq!(is_right(&users, credentials, now), Some(expected), "{credentials}");
        }
        let missing = |header| matches!(users.check(header, ADDRESS, now), Checked::Missing);
        for header in [None, Some("Basic"), Some("Basic !"), Some("Bearer YTpi"), Some("Basic YQ==")] {
            assert!(missing(header), "{header:?}");
        }
        let long = header(&format!("alice:{}", "x".repeat(LENGTH_MAX + 1)));
        assert!(missing(Some(long.as_str())));
    }

    #[test]
    fn who_is_wrong_too_often_has_to_wait_and_who_was_right_has_not() {
        let (users, began) = (users(6).expect("users"), Instant::now());
        let other = users.check(Some(&header("alice:right")), "::1".parse().expect("an address"), began);
        let Checked::Unknown(credentials) = other else { panic!("the first time") };
        assert!(users.are_right(&credentials, "::1".parse().expect("an address")));
        for _ in 0..WRONG_AT_ONCE {
            assert_eq!(is_right(&users, "alice:wrong", began), Some(false));
        }
        assert_eq!(is_right(&users, "alice:wrong", began), None);
        assert_eq!(is_right(&users, "alice:right", began), Some(true), "it is remembered");
        let later = began + WRONG_EVERY;
        assert_eq!(is_right(&users, "alice:wrong", later), Some(false));
        assert_eq!(is_right(&users, "alice:wrong", later), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut remembered = Remembered::default();
        let now = Instant::now();
        for number in 0..10_000u32 {
            assert!(remembered.may_try(IpAddr::V4(number.into()), now).is_ok());
        }
        assert_eq!(remembered.wrong.len(), ADDRESSES_MAX);
    }

    #[test]
    fn a_hash_that_is_none_or_takes_too_long_is_refused() {
        assert!(users(15).err().expect("too slow").contains("the cost 15 of the hash is more than 14"));
        let said = Users::new([("alice".to_owned(), "plain".to_owned())].into()).err().expect("no hash");
        assert!(said.starts_with("basic_auth_users: alice: no bcrypt hash"), "{said}");
    }
}
