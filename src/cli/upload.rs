//! A file as the body of a request, read as it is sent.

use std::fs::File;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// What is read at once.
const PIECE: u64 = 256 << 10;

/// A file that is sent from where it stands to its end. It is read where it is sent: a command does nothing else meanwhile.
pub struct Upload {
    file: File,
    left: Option<u64>,
}

impl Upload {
    pub fn new(file: File) -> Self {
        let left = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
        Self { file, left }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let mut piece = Vec::new();
        let read = (&self.file).take(PIECE).read_to_end(&mut piece);
        Poll::Ready(read.map(|read| (read > 0).then(|| Frame::data(piece.into()))).transpose())
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
