//! Bytes packed for a receiver that unpacks them.
//!
//! Must not know what they say.

use std::io::{self, Write};

use flate2::{Compression, write::GzEncoder};

/// The bytes as gzip has them, packed quickly rather than as tightly as can be.
pub fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes)?;
    packer.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_packed_is_smaller_and_the_same_when_it_is_unpacked() {
        let bytes = b"reapwatch.children.exited".repeat(100);
        let packed = gzip(&bytes).expect("to memory");
        assert!(packed.len() < bytes.len() / 10, "{}", packed.len());
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&*packed).read_to_end(&mut unpacked).expect("gzip");
        assert_eq!(unpacked, bytes);
    }
}
