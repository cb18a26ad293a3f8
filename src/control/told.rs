//! An answer that is written already, and the type it was written from.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// JSON of a `T`: written while what it tells of was locked, or by whoever keeps it.
#[derive(Debug)]
pub struct Told<T: ?Sized>(Box<RawValue>, PhantomData<fn(&T)>);

impl<T: ?Sized> Told<T> {
    /// Writes `answer`: a `T`, or what is written as one.
    pub fn new(answer: &impl Serialize) -> Self {
        Self(to_raw_value(answer).expect("our own types have string keys and always serialise"), PhantomData)
    }

    /// The JSON.
    pub fn get(&self) -> &str {
        self.0.get()
    }
}

impl<T: ?Sized> Serialize for Told<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// That of what was written.
impl<T: JsonSchema + ?Sized> JsonSchema for Told<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
