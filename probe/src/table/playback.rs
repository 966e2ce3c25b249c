//! Where the replay of a recording is, and how fast it goes.
//!
//! Owns the speeds. Must not know the recording.

use crate::report::words::duration;

/// How fast a recording can be replayed, in hundredths of its own pace.
const SPEEDS: [u32; 9] = [25, 50, 100, 200, 400, 800, 1_600, 3_200, 6_400];
const ITS_OWN: usize = 2;

/// To where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    Back,
    On,
}

/// The state of a replay. Times are since the window began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Playback {
    pub at_ns: u64,
    pub length_ns: u64,
    pub is_paused: bool,
    speed: usize,
}

impl Playback {
    /// At its begin, at its own pace.
    pub fn new(length_ns: u64) -> Self {
        Self { at_ns: 0, length_ns, is_paused: false, speed: ITS_OWN }
    }

    /// In hundredths of the recording's own pace.
    pub fn speed_percent(&self) -> u32 {
        SPEEDS[self.speed]
    }

    /// The next speed, up to 64 times its own.
    pub fn faster(&mut self) {
        self.speed = (self.speed + 1).min(SPEEDS.len() - 1);
    }

    /// The speed before, down to a quarter of its own.
    pub fn slower(&mut self) {
        self.speed = self.speed.saturating_sub(1);
    }

    /// `▶ 12 s of 1 m 0 s ×2`.
    pub fn words(&self) -> String {
        let sign = if self.is_paused { "paused" } else { "▶" };
        let speed = match self.speed_percent() {
            100 => String::new(),
            percent if percent.is_multiple_of(100) => format!(" ×{}", percent / 100),
            percent => format!(" ×{}", f64::from(percent) / 100.0),
        };
        format!("{sign} {} of {}{speed}", duration(self.at_ns), duration(self.length_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_says_where_it_is_and_how_fast() {
        let mut playback = Playback::new(60_000_000_000);
        playback.at_ns = 12_000_000_000;
        assert_eq!(playback.words(), "▶ 12 s of 1 m 0 s");
        playback.faster();
        assert_eq!(playback.words(), "▶ 12 s of 1 m 0 s ×2");
        (0..20).for_each(|_| playback.slower());
        playback.is_paused = true;
        assert_eq!(playback.words(), "paused 12 s of 1 m 0 s ×0.25");
        (0..20).for_each(|_| playback.faster());
        assert_eq!(playback.speed_percent(), 6_400);
    }
}
