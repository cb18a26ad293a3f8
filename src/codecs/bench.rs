//! A worker's bench: the engines of its thread, and the codecs that they have loaded.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use payload_codecs::{CodecError, Engines, Limits};

use super::Codec;

/// What one thread has loaded. A codec is loaded at its first use; one that nobody uses any more, such as the version
/// before a change, goes when the next is loaded.
pub struct Bench {
    limits: Limits,
    /// Set up at their first use: it takes time, and may fail.
    engines: Option<Engines>,
    loaded: HashMap<usize, Loaded>,
}

/// A codec, or why it does not load.
struct Loaded {
    of: Weak<Codec>,
    outcome: Result<Box<dyn payload_codecs::Codec>, CodecError>,
}

impl Bench {
    pub fn new(limits: Limits) -> Self {
        Self { limits, engines: None, loaded: HashMap::new() }
    }

    /// The codec, ready to run. Calls `begins` if it has to be loaded first.
    pub fn codec(
        &mut self,
        codec: &Arc<Codec>,
        begins: impl FnOnce(),
    ) -> Result<&mut (dyn payload_codecs::Codec + 'static), CodecError> {
        if self.loaded.get(&codec.id).is_none_or(Loaded::may_load_now) {
            begins();
            self.loaded.retain(|_, loaded| loaded.of.strong_count() > 0);
            let loaded = Loaded { of: Arc::downgrade(codec), outcome: self.load(codec) };
            self.loaded.insert(codec.id, loaded);
        }
        let loaded = self.loaded.get_mut(&codec.id).expect("it was put there if it was missing");
        loaded.outcome.as_mut().map(|codec| &mut **codec).map_err(|error| error.clone())
    }

    fn load(&mut self, codec: &Codec) -> Result<Box<dyn payload_codecs::Codec>, CodecError> {
        let engines = match &mut self.engines {
            Some(engines) => engines,
            none => none.insert(Engines::new(&self.limits)?),
        };
        let mut loaded = engines.load(&codec.source)?;
        codec.describe(loaded.fields());
        Ok(loaded)
    }
}

impl Loaded {
    /// A script that cannot load never will; one that only had no time or memory may do better the next time.
    fn may_load_now(&self) -> bool {
        self.outcome.as_ref().is_err_and(|error| !error.is_final())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "function decodeUplink() { return {data: {}}; }";

    #[test]
    fn a_codec_is_loaded_once_and_goes_when_its_successor_comes() {
        let mut bench = Bench::new(Limits::default());
        let (mut loads, old) = (0, Codec::sample(1, "test", GOOD));
        for _ in 0..3 {
            assert!(bench.codec(&old, || loads += 1).is_ok());
        }
        assert_eq!(loads, 1);
        drop(old);
        assert!(bench.codec(&Codec::sample(2, "test", GOOD), || {}).is_ok());
        assert_eq!(bench.loaded.keys().collect::<Vec<_>>(), [&2]);
    }

    #[test]
    fn a_script_that_cannot_load_is_not_tried_again_and_one_that_had_no_room_is() {
        let mut bench = Bench::new(Limits::default());
        let greedy = "for (var all = [];;) all.push(new Array(1000).fill(1));";
        for (id, script, tried) in [(1, "function decodeUplink( {", 1), (2, greedy, 2)] {
            let (codec, mut loads) = (Codec::sample(id, "test", script), 0);
            for _ in 0..2 {
                assert!(bench.codec(&codec, || loads += 1).is_err());
            }
            assert_eq!(loads, tried, "{script}");
        }
    }
}
