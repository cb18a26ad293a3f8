//! An answer of many results, `{"result":…}` one after another: each is handed out as soon as it is whole.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use reqwest::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::api::ApiError;

/// The largest result that is kept, in bytes: a hundred times the largest real one.
const LARGEST: usize = 1 << 20;

/// The results of one answer. Holds one of them at a time, however long the answer is.
pub struct Results {
    response: Response,
    objects: Objects,
    patience: Duration,
}

impl Results {
    /// `patience` is for each piece of the answer.
    pub fn new(response: Response, patience: Duration) -> Self {
        Self { response, objects: Objects::default(), patience }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The JSON of the next result; `None` at the end of the answer. An answer that stalls, breaks off or turns into an
    /// error is an error.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            while let Some(object) = self.objects.next() {
                if let Some(result) = result(&object)? {
                    return Ok(Some(result));
                }
            }
            match tokio::time::timeout(self.patience, self.response.chunk()).await {
                Err(_) => return Err(ApiError::Stalled),
                Ok(Err(error)) => return Err(ApiError::NoAnswer(error)),
                Ok(Ok(Some(chunk))) => self.objects.add(chunk),
                Ok(Ok(None)) if self.objects.is_amid() => return Err(ApiError::Broken("amid a message".into())),
                Ok(Ok(None)) => return Ok(None),
            }
        }
    }
}

/// A line of a streamed answer (gRPC-Gateway).
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<StreamError>,
}

#[derive(Deserialize)]
struct StreamError {
    #[serde(default)]
    message: String,
}

fn result(object: &Bytes) -> Result<Option<Bytes>, ApiError> {
    let line: Line<'_> = serde_json::from_slice(object).map_err(ApiError::Unreadable)?;
    match line {
        Line { error: Some(error), .. } => Err(ApiError::Broken(error.message)),
        Line { result, .. } => Ok(result.map(|result| object.slice_ref(result.get().as_bytes()))),
    }
}

/// Cuts JSON objects out of a stream of bytes, whatever stands between them: blank lines at The Things Stack.
#[derive(Default)]
struct Objects {
    unread: Bytes,
    /// The beginning of an object whose end has not come yet.
    begun: BytesMut,
    place: Place,
    too_large: bool,
}

/// Where in an object the next byte stands.
#[derive(Default)]
struct Place {
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Objects {
    /// Adds bytes, once `next` has said that there is no object left.
    fn add(&mut self, chunk: Bytes) {
        self.unread = chunk;
    }

    fn next(&mut self) -> Option<Bytes> {
        while let Some(end) = self.find_end() {
            let piece = self.unread.split_to(end);
            if let Some(object) = self.finish(piece) {
                return Some(object);
            }
        }
        None
    }

    fn is_amid(&self) -> bool {
        self.place.depth > 0
    }

    /// How many unread bytes there are to the end of an object. Without one, all are kept as its beginning.
    fn find_end(&mut self) -> Option<usize> {
        if !self.is_amid() {
            let between = self.unread.iter().position(|byte| *byte == b'{').unwrap_or(self.unread.len());
            self.unread.advance(between);
        }
        let end = self.unread.iter().position(|byte| self.place.ends_with(*byte));
        if end.is_none() {
            let piece = std::mem::take(&mut self.unread);
            self.keep(&piece);
        }
        end.map(|at| at + 1)
    }

    /// The object that ends with this piece, unless it is too large.
    fn finish(&mut self, piece: Bytes) -> Option<Bytes> {
        if self.begun.is_empty() && !self.too_large && piece.len() <= LARGEST {
            return Some(piece);
        }
        self.keep(&piece);
        let object = std::mem::take(&mut self.begun).freeze();
        match std::mem::take(&mut self.too_large) {
            false => Some(object),
            true => {
                tracing::warn!(limit = LARGEST, "A result of the network's history is too large; passed over.");
                None
            }
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        self.too_large |= self.begun.len() + piece.len() > LARGEST;
        match self.too_large {
            true => self.begun = BytesMut::new(),
            false => self.begun.extend_from_slice(piece),
        }
    }
}

impl Place {
    /// Whether an object ends with this byte.
    fn ends_with(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_text => self.escaped = true,
            b'"' => self.in_text = !self.in_text,
            _ if self.in_text => {}
            b'{' => self.depth += 1,
            b'}' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All objects of a stream that comes in pieces of this many bytes.
    fn objects(stream: &str, piece: usize) -> (Vec<String>, bool) {
        let (mut all, mut objects) = (Vec::new(), Objects::default());
        for chunk in stream.as_bytes().chunks(piece) {
            objects.add(Bytes::copy_from_slice(chunk));
            while let Some(object) = objects.next() {
                all.push(String::from_utf8(object.to_vec()).unwrap());
            }
        }
        (all, objects.is_amid())
    }

    #[test]
    fn objects_are_cut_out_wherever_the_pieces_end_and_whatever_stands_between() {
        let first = r#"{"result":{"text":"a } \" { \\","list":[{"a":{}}]}}"#;
        let second = r#"{"result":{"n":"ä"}}"#;
        for between in ["\n\n", "\n", "", "\r\n\r\n", "\n\ndata: "] {
            let stream = format!("{between}{first}{between}{second}{between}");
            for piece in 1..=stream.len() {
                assert_eq!(objects(&stream, piece), (vec![first.to_owned(), second.to_owned()], false), "{piece}");
            }
        }
    }

    #[test]
    fn a_stream_that_ends_amid_an_object_is_noticed() {
        assert_eq!(objects(r#"{"a":1}{"b":{"c":"}"#, 3), (vec![r#"{"a":1}"#.to_owned()], true));
    }

    #[test]
    fn what_is_too_large_is_passed_over_and_not_kept() {
        let large = format!(r#"{{"x":"{}"}}"#, "a".repeat(LARGEST));
        let stream = format!("{large}\n\n{{}}");
        for piece in [1000, LARGEST * 2] {
            assert_eq!(objects(&stream, piece).0, ["{}"]);
        }
        let mut held = Objects::default();
        for chunk in large.as_bytes()[..LARGEST].chunks(1000) {
            held.add(Bytes::copy_from_slice(chunk));
            assert_eq!(held.next(), None);
        }
        held.add(Bytes::from_static(&[b'a'; 5000]));
        assert_eq!((held.next(), held.begun.capacity()), (None, 0));
    }

    #[test]
    fn a_line_is_a_result_an_error_or_neither() {
        let read = |line: &str| result(&Bytes::copy_from_slice(line.as_bytes()));
        assert_eq!(read(r#"{"result":{"a":1}}"#).unwrap().unwrap(), r#"{"a":1}"#);
        assert_eq!(read("{}").unwrap(), None);
        let error = read(r#"{"error":{"code":14,"message":"error:pkg/x:gone (gone)","details":[]}}"#).unwrap_err();
        assert!(matches!(&error, ApiError::Broken(why) if why.contains("gone")), "{error}");
        assert!(matches!(read("{<}"), Err(ApiError::Unreadable(_))));
    }
}
