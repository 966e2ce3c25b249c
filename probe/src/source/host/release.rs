//! Which kernel runs here, and what the host is called. Must not decide what follows from it.

use std::fs;

/// Kernel release and architecture.
pub fn release() -> (String, String) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    (release.trim().to_owned(), std::env::consts::ARCH.to_owned())
}

/// Whether the running kernel is of this release or a later one.
pub fn is_at_least(major: u32, minor: u32) -> bool {
    is_of(&release().0, major, minor)
}

fn is_of(release: &str, major: u32, minor: u32) -> bool {
    let mut numbers = release.split(|one: char| !one.is_ascii_digit()).map_while(|part| part.parse().ok());
    (numbers.next(), numbers.next()) >= (Some(major), Some(minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_compare_by_number() {
        assert!(
            is_of("5.10.0-46-cloud-amd64", 5, 10) && is_of("6.1.0", 5, 12) && is_of("7.3.4+deb13", 6, 19)
        );
        assert!(!is_of("5.10.0-46-cloud-amd64", 5, 11) && !is_of("6.2", 6, 19) && !is_of("", 5, 10));
    }
}
