//! Tests from outside, one module a room.

mod case;
