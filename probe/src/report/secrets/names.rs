//! Names under which secrets are given: of options, variables and headers, and short flags of known programs.
//!
//! Must not know how a command line is taken apart.

/// Names that mean a secret wherever they are a part of a longer one, in lower case and without `-`, `_`, `.` and spaces.
const PARTS: [&str; 22] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "passkey",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "secretkey",
    "encryptionkey",
    "signingkey",
    "authkey",
    "accountkey",
    "credential",
    "authorization",
    "connectionstring",
    "signature",
    "webhookurl",
    "setcookie",
    "sessionkey",
];
/// Names that mean one as a whole word of a longer name.
const WORDS: [&str; 26] = [
    "pass",
    "pwd",
    "pw",
    "passin",
    "passout",
    "auth",
    "bearer",
    "jwt",
    "cookie",
    "sig",
    "pin",
    "otp",
    "totp",
    "dsn",
    "key",
    "psk",
    "creds",
    "cred",
    "userpass",
    "pgpassword",
    "mysqlpwd",
    "sharedkey",
    "sas",
    "sshpass",
    "requirepass",
    "masterauth",
];
/// A name that ends so says where a secret is, or how to ask for it, and holds none.
const PLACES: [&str; 12] =
    ["file", "path", "dir", "fd", "stdin", "env", "prompt", "length", "id", "name", "command", "type"];

/// Whether a value of this name is a secret.
pub fn is_secret(name: &str) -> bool {
    let name = name.trim_start_matches(['-', '/']);
    // As many characters as a name may have; a longer text is none.
    if name.is_empty() || name.len() > 128 {
        return false;
    }
    let words = words_of(name);
    let Some(last) = words.last() else { return false };
    if PLACES.contains(&last.as_str()) && words.len() > 1 || words[0] == "no" {
        return false;
    }
    let joined = words.concat();
    PARTS.iter().any(|part| joined.contains(part)) || words.iter().any(|word| WORDS.contains(&word.as_str()))
}

/// A word after which a token follows, as in `Authorization: Bearer …`.
pub fn announces(word: &str) -> bool {
    word.eq_ignore_ascii_case("bearer")
}

/// `apiKey`, `API_KEY` and `api-key` are two words each.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for one in name.chars() {
        let begins = one.is_ascii_uppercase() && was_lower;
        was_lower = one.is_ascii_lowercase() || one.is_ascii_digit();
        if begins || !one.is_ascii_alphanumeric() {
            words.push(String::new());
        }
        if let (true, Some(word)) = (one.is_ascii_alphanumeric(), words.last_mut()) {
            word.push(one.to_ascii_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A short flag that takes a secret.
#[derive(Debug)]
pub struct Flag {
    pub name: &'static str,
    pub style: Style,
}

/// How a flag takes its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `-pSECRET`.
    Attached,
    /// `-p SECRET`.
    Separate,
    /// Either.
    Either,
    /// `-u name:SECRET`, or attached.
    Behind(char),
}

const fn flag(name: &'static str, style: Style) -> Flag {
    Flag { name, style }
}

/// Programs by what their names begin with, a word that must be there too, and their flags.
const PROGRAMS: &[(&[&str], Option<&str>, &[Flag])] = &[
    (&["mysql", "mariadb"], None, &[flag("-p", Style::Attached)]),
    (&["sshpass"], None, &[flag("-p", Style::Either)]),
    (&["7z", "rar", "unrar"], None, &[flag("-p", Style::Attached), flag("-hp", Style::Attached)]),
    (&["zip", "unzip", "ipmitool"], None, &[flag("-P", Style::Either)]),
    (&["redis-cli", "valkey-cli"], None, &[flag("-a", Style::Either)]),
    (&["mongo"], None, &[flag("-p", Style::Either)]),
    (
        &["docker", "podman", "nerdctl", "buildah", "skopeo", "helm", "oc", "az"],
        Some("login"),
        &[flag("-p", Style::Either)],
    ),
    (&["ldap"], None, &[flag("-w", Style::Either), flag("-s", Style::Either), flag("-a", Style::Either)]),
    (
        &["curl"],
        None,
        &[
            flag("--user", Style::Behind(':')),
            flag("--proxy-user", Style::Behind(':')),
            flag("-u", Style::Behind(':')),
            flag("-U", Style::Behind(':')),
        ],
    ),
    (&["smbclient", "rpcclient", "net", "smbget"], None, &[flag("-U", Style::Behind('%'))]),
    (&["snmp"], None, &[flag("-c", Style::Either), flag("-A", Style::Either), flag("-X", Style::Either)]),
    (&["xfreerdp", "wlfreerdp"], None, &[flag("/p:", Style::Attached)]),
    (&["openssl"], None, &[flag("-k", Style::Separate), flag("-K", Style::Separate)]),
    (&["sqlplus"], None, &[flag("", Style::Behind('/'))]),
];
/// Programs whose last argument is a secret, and what else must be there.
const SECRET_LAST: [(&str, Option<&str>); 2] = [("htpasswd", Some("-b")), ("wpa_passphrase", None)];

/// Adds the flags of a program, if this word is the name of one that is known.
pub fn add_flags_of(word: &str, all: &[&str], flags: &mut Vec<&'static Flag>) {
    let name = file_name(word);
    for (programs, needs, known) in PROGRAMS {
        if programs.iter().any(|program| name.starts_with(program))
            && needs.is_none_or(|needed| all.contains(&needed))
        {
            flags.extend(known.iter());
        }
    }
}

/// Whether the last of these words is a secret.
pub fn has_secret_at_end(words: &[&str]) -> bool {
    let takes = |(program, needs): &(&str, Option<&str>)| {
        words.first().is_some_and(|first| file_name(first) == *program)
            && needs.is_none_or(|needed| words.iter().any(|word| word.starts_with(needed)))
    };
    words.len() > 2 && SECRET_LAST.iter().any(takes)
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
