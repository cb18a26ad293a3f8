//! Columns that stand below each other.

/// Each column as wide as its widest cell; nothing hangs at the end of a line.
pub fn aligned<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> Vec<String> {
    let wide = |column: usize| rows.iter().map(|row| shown(&row[column])).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(wide);
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - shown(cell))));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Characters that are seen: a colour takes no room (ECMA-48, select graphic rendition).
fn shown(cell: &str) -> usize {
    let (mut count, mut is_colour) = (0, false);
    for character in cell.chars() {
        match character {
            '\x1b' => is_colour = true,
            'm' if is_colour => is_colour = false,
            _ => count += usize::from(!is_colour),
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_take_no_room() {
        let rows = [["\x1b[1mab\x1b[0m".to_owned(), "x".to_owned()], ["abcd".into(), "y".into()]];
        assert_eq!(aligned(&rows), ["\x1b[1mab\x1b[0m    x", "abcd  y"]);
    }
}
