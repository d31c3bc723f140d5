//! Rows out of one JSON value: a list of lists of cells.

use std::fmt::{self, Formatter};

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

use super::row::{Rows, Value};

/// Reads the lists of cells, one for each row, into rows.
pub struct Lists<'r>(pub &'r mut Rows);

/// Reads the cells of one.
struct List<'r>(&'r mut Rows);

/// Reads one cell.
struct Cell<'r>(&'r mut Rows);

macro_rules! seed {
    ($($seed:ident: $how:ident;)+) => {
        $(impl<'de> DeserializeSeed<'de> for $seed<'_> {
            type Value = ();

            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
                from.$how(self)
            }
        })+
    };
}

seed! {
    Lists: deserialize_seq;
    List: deserialize_seq;
    Cell: deserialize_any;
}

impl<'de> Visitor<'de> for Lists<'_> {
    type Value = ();

    fn expecting(&self, text: &mut Formatter<'_>) -> fmt::Result {
        text.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(List(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, text: &mut Formatter<'_>) -> fmt::Result {
        text.write_str("a list of cells")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Cell(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

impl Visitor<'_> for Cell<'_> {
    type Value = ();

    fn expecting(&self, text: &mut Formatter<'_>) -> fmt::Result {
        text.write_str("a number, a text or nothing")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.push(Value::Null);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.push(Value::Int(value));
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.visit_i64(i64::try_from(value).map_err(E::custom)?)
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.0.push(Value::Text(value));
        Ok(())
    }
}
