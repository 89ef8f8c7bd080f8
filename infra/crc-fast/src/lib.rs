//! The checksums of S3, in the place of the package of this name.
//!
//! `aws-sdk-s3` and `s3s` take three checksums from `crc-fast`, which links tables for some fifty: 0.7 MB in each function
//! that reads or writes an object, a tenth of the smallest. This package has those three, of the names and with the
//! calls that they use, over `crc32fast` and `crc`: 0.6 MB less when zipped. CRC-32, which the SDK sends with whatever it
//! puts, is as fast (carry-less multiplication where the processor has it); the other two are only met in objects that
//! somebody else put, and take some 2 ns a byte. Without `[patch.crates-io]` in the workspace's manifest all is built
//! with the package of that name again.

use crc::{CRC_32_ISCSI, CRC_64_NVME, Crc};

static CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
static CRC64_NVME: Crc<u64> = Crc::<u64>::new(&CRC_64_NVME);

/// A checksum of S3, by its name in the catalogue of CRCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrcAlgorithm {
    /// S3's `CRC32`.
    Crc32IsoHdlc,
    /// S3's `CRC32C`.
    Crc32Iscsi,
    /// S3's `CRC64NVME`.
    Crc64Nvme,
}

/// A checksum in the making.
#[derive(Clone, Debug)]
pub struct Digest(State);

#[derive(Clone)]
enum State {
    Crc32(crc32fast::Hasher),
    Crc32c(crc::Digest<'static, u32>),
    Crc64Nvme(crc::Digest<'static, u64>),
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Crc32(_) => "Crc32",
            Self::Crc32c(_) => "Crc32c",
            Self::Crc64Nvme(_) => "Crc64Nvme",
        })
    }
}

impl Digest {
    /// The checksum of nothing.
    pub fn new(algorithm: CrcAlgorithm) -> Self {
        Self(match algorithm {
            CrcAlgorithm::Crc32IsoHdlc => State::Crc32(crc32fast::Hasher::new()),
            CrcAlgorithm::Crc32Iscsi => State::Crc32c(CRC32C.digest()),
            CrcAlgorithm::Crc64Nvme => State::Crc64Nvme(CRC64_NVME.digest()),
        })
    }

    /// Takes in what follows.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Crc32(hasher) => hasher.update(bytes),
            State::Crc32c(digest) => digest.update(bytes),
            State::Crc64Nvme(digest) => digest.update(bytes),
        }
    }

    /// The checksum of all that was taken in, in the low bits.
    pub fn finalize(self) -> u64 {
        match self.0 {
            State::Crc32(hasher) => hasher.finalize().into(),
            State::Crc32c(digest) => digest.finalize().into(),
            State::Crc64Nvme(digest) => digest.finalize(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum(algorithm: CrcAlgorithm, parts: &[&[u8]]) -> u64 {
        let mut digest = Digest::new(algorithm);
        for part in parts {
            digest.update(part);
        }
        digest.finalize()
    }

    /// The catalogue's check values, and those that the NVM Command Set Specification (1.0d, figure 122) has of 4 KiB.
    #[test]
    fn checksums_are_those_of_the_catalogue() {
        let check = b"123456789";
        for (algorithm, expected) in [
            (CrcAlgorithm::Crc32IsoHdlc, 0xcbf4_3926),
            (CrcAlgorithm::Crc32Iscsi, 0xe306_9283),
            (CrcAlgorithm::Crc64Nvme, 0xae8b_1486_0a79_9888),
        ] {
            assert_eq!(checksum(algorithm, &[check]), expected, "{algorithm:?}");
            assert_eq!(checksum(algorithm, &[&check[..4], b"", &check[4..]]), expected, "{algorithm:?} in parts");
            assert_eq!(checksum(algorithm, &[]), 0, "{algorithm:?} of nothing");
        }
        assert_eq!(checksum(CrcAlgorithm::Crc64Nvme, &[&[0; 4096]]), 0x6482_d367_eb22_b64e);
        assert_eq!(checksum(CrcAlgorithm::Crc64Nvme, &[&[255; 4096]]), 0xc0dd_ba73_02ec_a3ac);
    }
}
