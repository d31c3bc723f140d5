//! Staging and merging facts.
