//! Few points that tell as much as many: those of equal shares of the time become one. Where nothing was told, nothing is.

use std::collections::BTreeMap;

/// The time that is shown, in milliseconds since 1970, and how many points it may take.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    pub from: i64,
    /// It counts too.
    pub to: i64,
    pub points: usize,
}

/// Numbers over time: as they came, or mean, least and greatest of each share of the time.
#[derive(Debug)]
pub struct Numbers {
    frame: Frame,
    raw: Vec<(i64, f64)>,
    /// Once there are too many.
    buckets: BTreeMap<usize, Bucket>,
}

/// What numbers come to.
#[derive(Debug, Default, PartialEq)]
pub struct Curve {
    pub at: Vec<i64>,
    pub value: Vec<f64>,
    /// Least and greatest of what each value stands for.
    pub bounds: Option<(Vec<f64>, Vec<f64>)>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    count: u32,
    /// Of the times, from the beginning of the frame.
    time: i128,
    sum: f64,
    min: f64,
    max: f64,
}

/// Values that stay until another is told: only changes are kept, and of too many the last in each share of the time.
#[derive(Debug)]
pub struct Changes<T> {
    frame: Frame,
    raw: Vec<(i64, T)>,
    buckets: BTreeMap<usize, (i64, T)>,
}

impl Frame {
    /// The share of the time that this moment is in; none if it is not shown.
    fn share(&self, at: i64) -> Option<usize> {
        let (all, part) = (i128::from(self.to) - i128::from(self.from) + 1, i128::from(at) - i128::from(self.from));
        (0..all).contains(&part).then(|| (part * self.points as i128 / all) as usize)
    }
}

impl Numbers {
    pub fn new(frame: Frame) -> Self {
        Self { frame, raw: Vec::new(), buckets: BTreeMap::new() }
    }

    pub fn add(&mut self, at: i64, value: f64) {
        let Some(share) = self.frame.share(at) else { return };
        if self.is_sampled() {
            return self.take(share, at, value);
        }
        self.raw.push((at, value));
        if self.raw.len() > self.frame.points {
            for (at, value) in std::mem::take(&mut self.raw) {
                let share = self.frame.share(at).unwrap_or_default();
                self.take(share, at, value);
            }
        }
    }

    pub fn is_sampled(&self) -> bool {
        !self.buckets.is_empty()
    }

    pub fn into_curve(mut self) -> Curve {
        if self.buckets.is_empty() {
            self.raw.sort_by_key(|(at, _)| *at);
            let (at, value) = self.raw.into_iter().unzip();
            return Curve { at, value, bounds: None };
        }
        let all = self.buckets.values();
        let at = |bucket: &Bucket| (i128::from(self.frame.from) + bucket.time / i128::from(bucket.count)) as i64;
        Curve {
            at: all.clone().map(at).collect(),
            value: all.clone().map(Bucket::mean).collect(),
            bounds: Some((all.clone().map(|bucket| bucket.min).collect(), all.map(|bucket| bucket.max).collect())),
        }
    }

    fn take(&mut self, share: usize, at: i64, value: f64) {
        let time = i128::from(at) - i128::from(self.frame.from);
        let new = Bucket { count: 1, time, sum: value, min: value, max: value };
        let merge = |old: &mut Bucket| {
            (old.count, old.time, old.sum) = (old.count + 1, old.time + time, old.sum + value);
            (old.min, old.max) = (old.min.min(value), old.max.max(value));
        };
        self.buckets.entry(share).and_modify(merge).or_insert(new);
    }
}

impl Bucket {
    /// To six digits: more is noise, and a long text.
    fn mean(&self) -> f64 {
        let mean = self.sum / f64::from(self.count);
        let short: f64 = format!("{mean:.5e}").parse().unwrap_or(mean);
        short.clamp(self.min, self.max)
    }
}

impl<T: PartialEq> Changes<T> {
    pub fn new(frame: Frame) -> Self {
        Self { frame, raw: Vec::new(), buckets: BTreeMap::new() }
    }

    pub fn add(&mut self, at: i64, value: T) {
        let Some(share) = self.frame.share(at) else { return };
        if self.is_sampled() {
            drop(self.buckets.insert(share, (at, value)));
        } else if self.raw.last().is_none_or(|(_, last)| *last != value) {
            self.raw.push((at, value));
        }
        if self.raw.len() > self.frame.points {
            let share = |(at, value)| (self.frame.share(at).unwrap_or_default(), (at, value));
            self.buckets = std::mem::take(&mut self.raw).into_iter().map(share).collect();
        }
    }

    pub fn is_sampled(&self) -> bool {
        !self.buckets.is_empty()
    }

    /// Times and values.
    pub fn into_columns(self) -> (Vec<i64>, Vec<T>) {
        let mut all = self.raw;
        all.extend(self.buckets.into_values());
        all.sort_by_key(|(at, _)| *at);
        all.dedup_by(|next, last| next.1 == last.1);
        all.into_iter().unzip()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FRAME: Frame = Frame { from: 1000, to: 2000, points: 10 };

    fn curve(frame: Frame, all: &[(i64, f64)]) -> Curve {
        let mut numbers = Numbers::new(frame);
        all.iter().for_each(|(at, value)| numbers.add(*at, *value));
        numbers.into_curve()
    }

    #[test]
    fn few_points_stay_as_they_are_and_in_their_order() {
        let all = [(1500, 2.0), (1000, 1.25), (2000, -3.0), (999, 9.0), (2001, 9.0)];
        let expected = Curve { at: vec![1000, 1500, 2000], value: vec![1.25, 2.0, -3.0], bounds: None };
        assert_eq!(curve(FRAME, &all), expected);
    }

    #[test]
    fn many_points_become_the_mean_of_each_share_and_a_gap_stays_one() {
        let all: Vec<_> = (0..100).map(|n| (1000 + n, n as f64)).chain([(1950, 5.0), (1960, 6.0)]).collect();
        let Curve { at, value, bounds } = curve(FRAME, &all);
        assert_eq!((at, value), (vec![1049, 1955], vec![49.5, 5.5]));
        assert_eq!(bounds, Some((vec![0.0, 5.0], vec![99.0, 6.0])));
    }

    #[test]
    fn only_changes_are_told() {
        let mut texts = Changes::new(FRAME);
        for (at, text) in [(1000, "on"), (1001, "on"), (1002, "off"), (1003, "on"), (5000, "x")] {
            texts.add(at, text);
        }
        assert!(!texts.is_sampled());
        assert_eq!(texts.into_columns(), (vec![1000, 1002, 1003], vec!["on", "off", "on"]));
    }

    proptest! {
        #[test]
        fn a_curve_is_short_rises_in_time_and_lies_between_its_bounds(
            from in -1_000_000..1_000_000_i64,
            length in 0..100_000_i64,
            points in 1..40_usize,
            told in prop::collection::vec((-200_000..200_000_i64, prop::num::f64::NORMAL | prop::num::f64::ZERO), 0..300),
        ) {
            let frame = Frame { from, to: from + length, points };
            let told: Vec<_> = told.into_iter().map(|(at, value)| (from + at, value)).collect();
            let shown: Vec<_> = told.iter().filter(|(at, _)| (from..=from + length).contains(at)).collect();
            let Curve { at, value, bounds } = curve(frame, &told);
            prop_assert!(at.len() <= points && at.len() == value.len() && at.is_sorted());
            prop_assert!(at.iter().all(|at| (from..=from + length).contains(at)));
            prop_assert_eq!(bounds.is_some(), shown.len() > points);
            prop_assert_eq!(at.is_empty(), shown.is_empty());
            let least = |all: &[f64]| all.iter().copied().reduce(f64::min);
            let all: Vec<f64> = shown.iter().map(|(_, value)| *value).collect();
            match bounds {
                Some((min, max)) => {
                    prop_assert!(at.windows(2).all(|pair| pair[0] < pair[1]));
                    prop_assert!(min.len() == at.len() && max.len() == at.len());
                    prop_assert!((0..at.len()).all(|n| min[n] <= value[n] && value[n] <= max[n]));
                    prop_assert_eq!(least(&min), least(&all));
                    prop_assert_eq!(max.into_iter().reduce(f64::max), all.into_iter().reduce(f64::max));
                }
                None => prop_assert_eq!(value.len(), all.len()),
            }
        }

        #[test]
        fn changes_are_few_and_each_is_one(
            points in 1..20_usize,
            told in prop::collection::vec((0..1000_i64, 0..3_u8), 0..200),
        ) {
            let mut told = told;
            told.sort();
            let mut changes = Changes::new(Frame { from: 0, to: 999, points });
            told.iter().for_each(|(at, value)| changes.add(*at, *value));
            let (at, value) = changes.into_columns();
            prop_assert!(at.len() <= points && at.len() == value.len() && at.is_sorted());
            prop_assert!(value.windows(2).all(|pair| pair[0] != pair[1]));
            prop_assert_eq!(value.last(), told.last().map(|(_, value)| value));
        }
    }
}
