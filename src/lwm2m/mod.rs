//! The LwM2M client: resource tree, native objects, codecs, registration, management and reporting.

pub mod downlink;
pub mod path;
pub mod value;

pub use path::{Path, PathError};
pub use value::{Content, Entry, SampleId, Value, ValueType};
