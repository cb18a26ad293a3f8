//! Why no bridge can be built of a configuration.

use crate::codecs::FindError;
use crate::config::{InvalidHome, NoStateFolder};
use crate::home::InvalidTopics;
use crate::model::InvalidName;
use crate::network::ttn;
use crate::store::OpenError;
use crate::web::{KeyError, PortError, SocketError};

/// Why no bridge can be built of a configuration that parsed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Codec(#[from] FindError),
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error(transparent)]
    Home(#[from] InvalidHome),
    #[error("home.{error}\n  hint: {}", error.hint)]
    HomeTopics { error: InvalidTopics },
    #[error("application `{name}`: {source}")]
    Application { name: String, source: ttn::PartsError },
    #[error("{source}\n  hint: {}", source.hint())]
    NoStateFolder {
        #[from]
        source: NoStateFolder,
    },
    // It tells its causes itself, before the hint.
    #[error("{error}\n  hint: {}", error.hint())]
    Store { error: OpenError },
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error("{source}\n  hint: {}", source.hint())]
    Port {
        #[from]
        source: PortError,
    },
    #[error(transparent)]
    WebKey(#[from] KeyError),
    #[error("no thread could be started for codecs")]
    Threads(#[source] std::io::Error),
}

impl BuildError {
    /// Whether the configuration must be changed, or the store: trying again does not help.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Threads(_) | Self::Socket(_) | Self::Port { .. } | Self::WebKey(_) => false,
            Self::Store { error } => error.is_permanent(),
            _ => true,
        }
    }
}

impl From<InvalidTopics> for BuildError {
    fn from(error: InvalidTopics) -> Self {
        Self::HomeTopics { error }
    }
}

impl From<OpenError> for BuildError {
    fn from(error: OpenError) -> Self {
        Self::Store { error }
    }
}
