//! An error and what caused it, in one line.

use std::error::Error;

/// The error's own text and that of each cause it does not repeat already.
pub fn with_causes(error: &dyn Error) -> String {
    let (mut told, mut next) = (error.to_string(), error.source());
    while let Some(cause) = next {
        let text = cause.to_string();
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        next = cause.source();
    }
    told
}
