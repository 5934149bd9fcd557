//! Typed values: what objects hold and what every codec reads and writes (LwM2M Core 1.1.1 Appendix C).

use super::path::Path;

/// The type that the registry gives a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// UTF-8 text.
    String,
    /// Signed, up to 64 bits.
    Integer,
    /// Unsigned, up to 64 bits (1.1).
    Unsigned,
    /// 64-bit IEEE 754.
    Float,
    /// True or false.
    Boolean,
    /// Octets.
    Opaque,
    /// Seconds since 1970-01-01 UTC.
    Time,
    /// Object ID and Object Instance ID.
    ObjectLink,
    /// Link-format text (1.1).
    CoreLink,
    /// Not readable: an executable resource.
    Execute,
}

/// One value of a resource or resource instance.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// UTF-8 text.
    String(String),
    /// Signed number.
    Integer(i64),
    /// Unsigned number.
    Unsigned(u64),
    /// Finite number: NaN and infinities never get here (TYP-05).
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// Octets.
    Opaque(Vec<u8>),
    /// Seconds since 1970-01-01 UTC.
    Time(i64),
    /// Object ID and Object Instance ID; 65535:65535 is the null link (TYP-02).
    ObjectLink(u16, u16),
    /// Link-format text.
    CoreLink(String),
}

impl Value {
    /// The type of this value.
    pub const fn value_type(&self) -> ValueType {
        match self {
            Self::String(_) => ValueType::String,
            Self::Integer(_) => ValueType::Integer,
            Self::Unsigned(_) => ValueType::Unsigned,
            Self::Float(_) => ValueType::Float,
            Self::Boolean(_) => ValueType::Boolean,
            Self::Opaque(_) => ValueType::Opaque,
            Self::Time(_) => ValueType::Time,
            Self::ObjectLink(..) => ValueType::ObjectLink,
            Self::CoreLink(_) => ValueType::CoreLink,
        }
    }
}

/// What a resource holds: one value, or a value per resource instance.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A single-instance resource.
    Single(Value),
    /// A multiple-instance resource: (Resource Instance ID, value) in ascending order; may be empty.
    Multiple(Vec<(u16, Value)>),
}

/// One resource with its content, as codecs take and give them.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Path of the resource (three identifiers).
    pub path: Path,
    /// What it holds.
    pub content: Content,
}

/// Names one accepted sample, so that the books can say what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleId(pub u64);
