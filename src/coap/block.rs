//! Blocks of a body (RFC 7959 §2): the option's value, sizes, and what tells one body from another.
//!
//! Numbers have their full 20 bits. Who sends which block when is in `uploads`, `snapshots` and `own`.

use super::types::{ContentFormat, Request};

/// Most octets of a body that a peer may send us block by block, unless the owner says otherwise; more is answered 4.13.
pub const MAX_BODY_IN: usize = 64 * 1024;
/// Most octets of a body that we send, or fetch from a peer, block by block.
pub const MAX_BODY_OUT: usize = 1024 * 1024;

/// Size of a block, 16 to 1024 octets: the SZX of RFC 7959 §2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockSize(u8);

impl BlockSize {
    /// 1024 octets.
    pub const MAX: Self = Self(6);

    /// Octets of every block but the last.
    pub const fn octets(self) -> usize {
        16 << self.0
    }

    /// The size of this many octets, if there is one.
    #[cfg(test)]
    pub const fn of_octets(octets: usize) -> Option<Self> {
        match octets {
            16 | 32 | 64 | 128 | 256 | 512 | 1024 => Some(Self((octets.trailing_zeros() - 4) as u8)),
            _ => None,
        }
    }

    /// The largest one of at most `room` octets.
    pub fn fitting(room: usize) -> Option<Self> {
        (0..=Self::MAX.0).rev().map(Self).find(|size| size.octets() <= room)
    }
}

/// Value of a Block1 or Block2 option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// NUM: which block of this size, from 0.
    pub number: u32,
    /// M: another block follows. Without meaning in a request for a block of the answer.
    pub more: bool,
    /// SZX.
    pub size: BlockSize,
}

impl Block {
    const MAX_NUMBER: u32 = 0xf_ffff;

    /// `None` for SZX 7, which is reserved (BLK-01). `value` is of at most three octets.
    pub const fn read(value: u32) -> Option<Self> {
        let size = BlockSize((value & 0b111) as u8);
        if size.0 > BlockSize::MAX.0 {
            return None;
        }
        Some(Self { number: value >> 4, more: value & 0b1000 != 0, size })
    }

    /// The option's value.
    pub fn value(self) -> u32 {
        self.number << 4 | u32::from(self.more) << 3 | u32::from(self.size.0)
    }

    /// Where in the body it begins.
    pub const fn offset(self) -> usize {
        self.number as usize * self.size.octets()
    }

    /// The block of `body` that begins at `offset`, a multiple of the size; `None` after the end. An empty body has one block.
    pub fn cut(body: &[u8], offset: usize, size: BlockSize) -> Option<(Self, &[u8])> {
        let number =
            u32::try_from(offset / size.octets()).ok().filter(|&number| number <= Self::MAX_NUMBER)?;
        if offset > 0 && offset >= body.len() {
            return None;
        }
        let end = body.len().min(offset + size.octets());
        Some((Self { number, more: end < body.len(), size }, &body[offset..end]))
    }
}

/// Says which version of a representation a block is of (RFC 7252 §5.10.6): a hash of the body. Four octets: a peer compares two
/// versions at a time, and each octet is sent with every block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ETag(u32);

impl ETag {
    /// Octets that an ETag of a peer may have.
    pub const LENGTHS: std::ops::RangeInclusive<usize> = 1..=8;

    /// The ETag of this body (FNV-1a, folded).
    pub fn of(body: &[u8]) -> Self {
        let hash = body.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3)
        });
        Self((hash >> 32) as u32 ^ hash as u32)
    }

    /// As it goes over the wire.
    pub const fn octets(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

/// What the blocks of one body have in common (RFC 7959 §2.3, §2.4): method, path and query, in an order of octets. Neither Message
/// ID nor token counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(Box<[u8]>);

impl Key {
    /// The key of this request.
    pub fn of(request: &Request) -> Self {
        let strings = || request.path.iter().chain(&request.query);
        let len: usize = strings().map(|string| string.len() + 1).sum();
        let mut octets = Vec::with_capacity(len + 2);
        // At most 255 octets each (RFC 7252 §5.10), and 255 of them in the largest datagram that a peer could find a use for;
        // were there more, two resources would share a key and their blocks would not fit together.
        octets.extend([request.method as u8, request.path.len() as u8]);
        for string in strings() {
            octets.push(string.len() as u8);
            octets.extend_from_slice(string.as_bytes());
        }
        Self(octets.into())
    }
}

/// What of a request its answer needs to know.
#[derive(Debug, Clone)]
pub struct Wants {
    /// The Observe option, where it means something.
    pub observe: Option<u32>,
    /// What is asked for, and in which format.
    pub key: Key,
    pub accept: Option<ContentFormat>,
    /// The block of the answer that is asked for.
    pub block2: Option<Block>,
    /// Asks how large the whole answer is.
    pub size2: bool,
    /// The last block of the request's body, to be acknowledged in the answer.
    pub block1: Option<Block>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::types::Method;
    use super::*;

    fn block(number: u32, more: bool, octets: usize) -> Block {
        Block { number, more, size: BlockSize::of_octets(octets).unwrap() }
    }

    #[test]
    fn values_are_those_of_other_encoders_blk_01() {
        for (value, expected) in [
            (0x0d, block(0, true, 512)),
            (0x1d, block(1, true, 512)),
            (0x02, block(0, false, 64)),
            (0x0106, block(16, false, 1024)),
            (0x01_000e, block(4096, true, 1024)),
            (0xff_fff8, block(0xf_ffff, true, 16)),
        ] {
            assert_eq!((Block::read(value), expected.value()), (Some(expected), value));
        }
        assert_eq!(Block::read(0x07), None, "SZX 7");
    }

    #[test]
    fn the_largest_size_that_fits_is_found() {
        let octets = |room| BlockSize::fitting(room).map(BlockSize::octets);
        assert_eq!(
            [15, 16, 511, 512, 1023, 9000].map(octets),
            [None, Some(16), Some(256), Some(512), Some(512), Some(1024)]
        );
    }

    #[test]
    fn keys_tell_path_from_query_and_segments_apart() {
        let strings = |text: &str| text.split_terminator('/').map(str::to_owned).collect();
        let key = |method, path, query| {
            Key::of(&Request { query: strings(query), ..Request::new(method, strings(path)) })
        };
        let all = [
            key(Method::Get, "3/0", ""),
            key(Method::Put, "3/0", ""),
            key(Method::Get, "30", ""),
            key(Method::Get, "3", "0"),
            key(Method::Get, "3/0", "0"),
        ];
        for (index, one) in all.iter().enumerate() {
            assert_eq!(all.iter().position(|other| other == one), Some(index));
        }
    }

    #[test]
    fn a_changed_body_has_another_etag() {
        assert_eq!(ETag::of(b"x"), ETag::of(b"x"));
        assert_ne!(ETag::of(b"x"), ETag::of(b"y"));
    }

    proptest! {
        #[test]
        fn blocks_put_together_are_the_body(
            body in prop::collection::vec(any::<u8>(), 0..5000),
            exponent in 0..=6_u8,
        ) {
            // BLK-08
            let (size, mut joined) = (BlockSize(exponent), vec![]);
            while let Some((block, part)) = Block::cut(&body, joined.len(), size) {
                prop_assert_eq!(block.offset(), joined.len());
                prop_assert!(part.len() == size.octets() || !block.more);
                joined.extend_from_slice(part);
                if !block.more { break }
            }
            prop_assert_eq!(&joined, &body);
            prop_assert_eq!(Block::cut(&body, body.len().next_multiple_of(size.octets()).max(1), size), None);
        }
    }
}
