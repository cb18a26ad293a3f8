//! What an API key of The Things Stack looks like, and what people paste in its place.

/// First part of every key: the kind of token.
const PREFIX: &str = "NNSXS";
/// Characters of the key's id.
const ID: usize = 39;
/// Characters of the secret itself.
const SECRET: usize = 52;

/// Why a text is no API key. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    #[error("the API key has white space inside")]
    WhiteSpace,
    #[error("the API key begins with `Bearer`")]
    Bearer,
    #[error("this is the id of an API key, not the key")]
    IdOnly,
    #[error("the API key does not begin with `NNSXS.`")]
    Prefix,
    #[error("the API key has {0} parts instead of 3")]
    Parts(usize),
    #[error("part {part} of the API key has {found} of {wanted} characters")]
    Length { part: u8, found: usize, wanted: usize },
    #[error("the API key holds characters that no key has")]
    Characters,
}

impl InvalidKey {
    /// What to do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::WhiteSpace => "one line, no spaces: was it broken when it was copied?",
            Self::Bearer => "leave `Bearer ` away",
            Self::IdOnly => {
                "the console shows the key itself only once, when it is made: make another one and copy all of it"
            }
            Self::Prefix | Self::Parts(_) | Self::Length { .. } | Self::Characters => {
                "a key reads NNSXS.<39 characters>.<52 characters>: use the console's copy button, or make another one"
            }
        }
    }
}

/// `NNSXS.<39>.<52>`, the parts in base32 (The Things Stack documentation, "API keys").
pub fn api_key_shape(key: &str) -> Result<(), InvalidKey> {
    if key.starts_with("Bearer") {
        return Err(InvalidKey::Bearer);
    }
    if key.contains(char::is_whitespace) {
        return Err(InvalidKey::WhiteSpace);
    }
    match key.split('.').collect::<Vec<_>>()[..] {
        [id] | [PREFIX, id] if id.len() == ID && base32(id) => Err(InvalidKey::IdOnly),
        [PREFIX, id, secret] => length(2, id, ID)
            .and(length(3, secret, SECRET))
            .and_then(|()| if base32(id) && base32(secret) { Ok(()) } else { Err(InvalidKey::Characters) }),
        [PREFIX, ref rest @ ..] => Err(InvalidKey::Parts(rest.len() + 1)),
        _ => Err(InvalidKey::Prefix),
    }
}

fn length(part: u8, text: &str, wanted: usize) -> Result<(), InvalidKey> {
    let found = text.chars().count();
    if found == wanted { Ok(()) } else { Err(InvalidKey::Length { part, found, wanted }) }
}

fn base32(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_key_is_taken_and_each_mistake_has_its_name() {
        let (id, secret) = ("A".repeat(ID), "B".repeat(SECRET));
        assert_eq!(api_key_shape(&format!("NNSXS.{id}.{secret}")), Ok(()));
        for (text, why) in [
            (id.clone(), InvalidKey::IdOnly),
            (format!("NNSXS.{id}"), InvalidKey::IdOnly),
            (format!("Bearer NNSXS.{id}.{secret}"), InvalidKey::Bearer),
            (format!("NNSXS.{id}. {secret}"), InvalidKey::WhiteSpace),
            (format!("NNSXS.{id}.{}", &secret[1..]), InvalidKey::Length { part: 3, found: 51, wanted: 52 }),
            (format!("NNSXS.{}.{secret}", &id[1..]), InvalidKey::Length { part: 2, found: 38, wanted: 39 }),
            (format!("NNSXS.{id}.{}", secret.to_lowercase()), InvalidKey::Characters),
            ("NNSXS".into(), InvalidKey::Parts(1)),
            ("hunter2".into(), InvalidKey::Prefix),
        ] {
            assert_eq!(api_key_shape(&text), Err(why), "{text}");
        }
    }
}
