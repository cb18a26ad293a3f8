//! Values that wander as those of real sensors do.

/// A value that takes small random steps between two bounds.
#[derive(Debug, Clone)]
pub struct Drift {
    value: f64,
    step: f64,
    bounds: (f64, f64),
}

impl Drift {
    /// Starts at `value` and moves by up to `step` at a time.
    pub fn new(value: f64, step: f64, bounds: (f64, f64)) -> Self {
        Self { value, step, bounds }
    }

    /// The next value.
    pub fn next(&mut self) -> f64 {
        let moved = self.value + self.step * (2.0 * fastrand::f64() - 1.0);
        self.value = moved.clamp(self.bounds.0, self.bounds.1);
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drifting_value_stays_within_its_bounds_and_moves() {
        let mut drift = Drift::new(1.0, 5.0, (0.0, 2.0));
        let values: Vec<f64> = (0..100).map(|_| drift.next()).collect();
        assert!(values.iter().all(|value| (0.0..=2.0).contains(value)));
        assert!(values.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
