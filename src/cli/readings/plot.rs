//! Readings as a picture made of text: dots of Braille, four by two in a character, or stars where there is no UTF-8.

use jiff::Timestamp;

use super::{Seen, Series, Values};
use crate::cli::harmless;
use crate::cli::moment::whole_seconds;
use crate::config::Environment;

const USUAL_WIDTH: usize = 80;
const LEAST_WIDTH: usize = 30;
const ROWS: usize = 8;
/// Changes of a truth or a text that are listed: the last ones.
const MOST_CHANGES: usize = 20;
/// A pause so many times as long as usual is a gap, and nothing is drawn in it.
const GAP: i64 = 4;

/// What there is to draw on.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    pub width: usize,
    /// Whether it shows UTF-8.
    pub is_unicode: bool,
}

/// A field of dots, two by four in each character.
struct Canvas {
    columns: usize,
    /// The pattern of each character, row by row.
    cells: Vec<u8>,
}

impl Screen {
    /// Of standard output; 80 columns if that is no terminal. The first of these variables that says something counts
    /// (POSIX, 8.2).
    pub fn of(environment: &dyn Environment) -> Self {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
        let width = size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0).unwrap_or(USUAL_WIDTH);
        let set = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(|name| environment.var(name));
        let language = set.filter(|value| !value.is_empty()).map(|value| value.to_ascii_lowercase()).next();
        let is_unicode = language.is_some_and(|value| value.contains("utf-8") || value.contains("utf8"));
        Self { width: width.max(LEAST_WIDTH), is_unicode }
    }

    /// How many points can be told apart.
    pub fn points(self) -> usize {
        self.width * 2
    }
}

/// One block for each series.
pub fn lines(seen: &Seen, screen: Screen) -> Vec<String> {
    if seen.series.values().all(|series| series.at.is_empty()) {
        let (from, to) = (whole_seconds(seen.from), whole_seconds(seen.to));
        return vec![format!("nothing of this was told from {from} to {to}, in {} uplinks", seen.count)];
    }
    let mut lines = Vec::new();
    for (path, series) in &seen.series {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        match &series.value {
            Values::Numbers(all) => lines.extend(curve((path, series), all, seen, screen)),
            Values::Flags(all) => lines.extend(changes(path, &series.at, all)),
            Values::Texts(all) => lines.extend(changes(path, &series.at, all)),
        }
    }
    lines.iter().map(|line| harmless(line).trim_end().to_owned()).collect()
}

fn changes(path: &str, at: &[i64], all: &[impl ToString]) -> Vec<String> {
    let left_out = all.len().saturating_sub(MOST_CHANGES);
    let mut lines = vec![path.to_owned()];
    if left_out > 0 {
        lines.push(format!("  {left_out} earlier changes, then:"));
    }
    let shown = at.iter().zip(all).skip(left_out);
    lines.extend(shown.map(|(at, value)| format!("  {}  {}", time(*at), value.to_string())));
    lines
}

fn curve((path, series): (&str, &Series), all: &[f64], seen: &Seen, screen: Screen) -> Vec<String> {
    let least = |all: &[f64]| all.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = |all: &[f64]| all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (mins, maxs) = (series.min.as_deref().unwrap_or(all), series.max.as_deref().unwrap_or(all));
    let (min, max) = (least(mins), greatest(maxs));
    let unit = series.unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
    let (latest, when) = (all.last().copied().unwrap_or_default(), time(series.at.last().copied().unwrap_or_default()));
    let (min_text, max_text) = (number(min), number(max));
    let label = min_text.chars().count().max(max_text.chars().count());
    let mut canvas = Canvas::new(screen.width.saturating_sub(label + 3).max(8));
    canvas.draw((&series.at, (mins, maxs)), (seen.from.as_millisecond(), seen.to.as_millisecond()), (min, max));
    let columns = canvas.columns;
    let bar = if screen.is_unicode { '│' } else { '|' };
    let mut lines = vec![format!("{path}  {}{unit} at {when}, from {min_text} to {max_text}{unit}", number(latest))];
    for (row, text) in canvas.rows(screen.is_unicode).into_iter().enumerate() {
        let side: &str = if row == 0 {
            &max_text
        } else if row == ROWS - 1 {
            &min_text
        } else {
            ""
        };
        lines.push(format!("{side:>label$} {bar} {text}"));
    }
    let (from, to) = (whole_seconds(seen.from).to_string(), whole_seconds(seen.to).to_string());
    let gap = columns.saturating_sub(from.len() + to.len()).max(2);
    lines.push(format!("{:label$}   {from}{:gap$}{to}", "", ""));
    lines
}

impl Canvas {
    fn new(columns: usize) -> Self {
        Self { columns, cells: vec![0; columns * ROWS] }
    }

    /// Draws from the least to the greatest of each point, and lines between points, but over no gap.
    fn draw(
        &mut self,
        (at, (mins, maxs)): (&[i64], (&[f64], &[f64])),
        (from, to): (i64, i64),
        (least, greatest): (f64, f64),
    ) {
        let (width, height) = ((self.columns * 2 - 1) as f64, (ROWS * 4 - 1) as f64);
        let x = |at: i64| ((at - from) as f64 / (to - from).max(1) as f64 * width).round() as usize;
        let share = |value: f64| if greatest > least { (value - least) / (greatest - least) } else { 0.5 };
        let y = |value: f64| ((1.0 - share(value)) * height).round() as usize;
        let gap = usual_pause(at).saturating_mul(GAP);
        for (n, (min, max)) in mins.iter().zip(maxs).enumerate() {
            self.line((x(at[n]), y(*min)), (x(at[n]), y(*max)));
            if n > 0 && at[n] - at[n - 1] <= gap {
                let middle = |n: usize| y((mins[n] + maxs[n]) / 2.0);
                self.line((x(at[n - 1]), middle(n - 1)), (x(at[n]), middle(n)));
            }
        }
    }

    fn line(&mut self, (x0, y0): (usize, usize), (x1, y1): (usize, usize)) {
        let steps = x0.abs_diff(x1).max(y0.abs_diff(y1)).max(1);
        let between = |a: usize, b: usize, step: usize| {
            (a as f64 + (b as f64 - a as f64) * step as f64 / steps as f64).round() as usize
        };
        (0..=steps).for_each(|step| self.dot(between(x0, x1, step), between(y0, y1, step)));
    }

    fn dot(&mut self, x: usize, y: usize) {
        // Braille counts the upper six dots column by column, and the lowest two last (Unicode, block U+2800).
        const DOTS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        if let Some(cell) = self.cells.get_mut(y / 4 * self.columns + x / 2).filter(|_| x / 2 < self.columns) {
            *cell |= DOTS[y % 4][x % 2];
        }
    }

    fn rows(&self, is_unicode: bool) -> Vec<String> {
        let sign = |cell: &u8| match (cell, is_unicode) {
            (0, _) => ' ',
            (dots, true) => char::from_u32(0x2800 + u32::from(*dots)).unwrap_or('*'),
            (_, false) => '*',
        };
        self.cells.chunks(self.columns).map(|row| row.iter().map(sign).collect()).collect()
    }
}

/// Half of all pauses are no longer.
fn usual_pause(at: &[i64]) -> i64 {
    let mut pauses: Vec<_> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    pauses.sort_unstable();
    pauses.get(pauses.len() / 2).copied().unwrap_or(i64::MAX)
}

/// No more digits than tell something.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn time(at: i64) -> String {
    whole_seconds(Timestamp::from_millisecond(at).unwrap_or_default()).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn drawn(series: Value, is_unicode: bool) -> Vec<String> {
        let seen = json!({
            "from": "1970-01-01T00:00:00Z", "to": "1970-01-01T00:01:40Z", "count": 7, "series": series,
        });
        lines(&serde_json::from_value(seen).unwrap(), Screen { width: 60, is_unicode })
    }

    #[test]
    fn a_slope_rises_from_corner_to_corner() {
        let at: Vec<_> = (0..=10).map(|n| n * 10_000).collect();
        let value: Vec<_> = (0..=10).map(|n| f64::from(n) / 2.0).collect();
        let series = json!({"t": {"kind": "number", "unit": "°C", "at": at, "value": value}});
        let unicode = drawn(series.clone(), true);
        assert_eq!(unicode[0], "t  5 °C at 1970-01-01T00:01:40Z, from 0 to 5 °C");
        let corners = (unicode[1].strip_prefix("5 │ "), unicode[8].strip_prefix("0 │ "));
        assert!(corners.0.is_some_and(|row| row.starts_with("  ")), "{unicode:#?}");
        assert!(corners.1.is_some_and(|row| !row.starts_with(' ')), "{unicode:#?}");
        assert_eq!(unicode[9], "    1970-01-01T00:00:00Z                1970-01-01T00:01:40Z");
        let width = |line: &String| line.chars().count();
        assert_eq!((unicode.len(), unicode.iter().map(width).max()), (10, Some(60)));
        let ascii = drawn(series, false);
        let edges: Vec<_> = ascii[1..9].iter().map(|line| line.find('*').unwrap()).collect();
        assert!(edges.is_sorted_by(|a, b| a > b), "{ascii:#?}");
        assert!(ascii[1..9].iter().all(|line| line.is_ascii()));
    }

    #[test]
    fn nothing_is_drawn_in_a_gap_and_bounds_are_lines() {
        let at = [0, 1000, 2000, 3000, 99_000, 100_000];
        let series = json!({"t": {"kind": "number", "at": at, "value": [2, 2, 2, 2, 2, 2], "min": [1, 2, 2, 2, 2, 2], "max": [3, 2, 2, 2, 2, 2]}});
        let rows = drawn(series, false);
        assert!(rows[1].starts_with("3 | *") && rows[8].starts_with("1 | *"), "{rows:#?}");
        assert!(
            rows.iter().skip(1).take(8).all(|row| !row.chars().skip(10).take(40).any(|sign| sign == '*')),
            "{rows:#?}"
        );
        assert!(rows[4].ends_with('*') || rows[5].ends_with('*'), "{rows:#?}");
    }

    #[test]
    fn one_value_is_a_dot_and_texts_are_a_list_of_changes() {
        let one = drawn(json!({"t": {"kind": "number", "at": [50_000], "value": [7.125]}}), true);
        assert_eq!(one[0], "t  7.125 at 1970-01-01T00:00:50Z, from 7.125 to 7.125");
        let dots = one[1..9].iter().flat_map(|row| row.chars()).filter(|sign| ('\u{2801}'..='\u{28ff}').contains(sign));
        assert_eq!(dots.count(), 1);
        let texts =
            drawn(json!({"door": {"kind": "text", "at": [0, 5000], "value": ["open\u{1b}[2J", "closed"]}}), true);
        assert_eq!(texts, ["door", "  1970-01-01T00:00:00Z  open[2J", "  1970-01-01T00:00:05Z  closed"]);
        let many: Vec<_> = (0..25).map(|n| n * 1000).collect();
        let flags: Vec<_> = (0..25).map(|n| n % 2 == 0).collect();
        let flags = drawn(json!({"on": {"kind": "bool", "at": many, "value": flags}}), true);
        assert_eq!((flags.len(), flags[1].as_str()), (22, "  5 earlier changes, then:"));
    }

    #[test]
    fn nothing_told_is_said() {
        let said = drawn(json!({"t": {"kind": "number", "at": [], "value": []}}), true);
        assert_eq!(said, ["nothing of this was told from 1970-01-01T00:00:00Z to 1970-01-01T00:01:40Z, in 7 uplinks"]);
    }
}
