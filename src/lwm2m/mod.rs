//! The LwM2M client: resource tree, native objects, codecs, registration, management and reporting.

pub mod codecs;
pub mod downlink;
pub mod model;
pub mod path;
pub mod value;

pub use codecs::{CodecError, Format};
pub use model::Model;
pub use path::{Path, PathError};
pub use value::{Content, Entry, SampleId, Value, ValueType};
