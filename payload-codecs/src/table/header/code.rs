//! Lines of C, indented by the braces around them.

/// C as it grows.
#[derive(Debug, Default)]
pub(super) struct Code {
    text: String,
    depth: usize,
}

impl Code {
    /// One line; empty, it parts what stands before from what follows.
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        let line = line.as_ref();
        if !line.is_empty() {
            self.text.push_str(&"    ".repeat(self.depth));
            self.text.push_str(line);
        } else if self.text.is_empty() || self.text.ends_with("\n\n") {
            return;
        }
        self.text.push('\n');
    }

    /// `head {`: the lines that follow stand one step further in.
    pub(super) fn open(&mut self, head: impl AsRef<str>) {
        self.line(format!("{} {{", head.as_ref()));
        self.depth += 1;
    }

    /// Ends what was opened; `other` is done where its condition does not hold.
    pub(super) fn close_or(&mut self, other: impl AsRef<str>) {
        self.depth -= 1;
        self.line("} else {");
        self.indented(|code| code.line(other));
        self.line("}");
    }

    /// The lines of `body`, one step further in.
    pub(super) fn indented(&mut self, body: impl FnOnce(&mut Self)) {
        self.depth += 1;
        body(self);
        self.depth -= 1;
    }

    /// `head {`, the lines of `body`, `}`.
    pub(super) fn block(&mut self, head: impl AsRef<str>, body: impl FnOnce(&mut Self)) {
        self.line(format!("{} {{", head.as_ref()));
        self.indented(body);
        self.line("}");
    }

    /// A struct or an enum: a block with a semicolon, between empty lines.
    pub(super) fn definition(&mut self, head: impl AsRef<str>, body: impl FnOnce(&mut Self)) {
        self.line("");
        self.line(format!("{} {{", head.as_ref()));
        self.indented(body);
        self.line("};");
        self.line("");
    }

    /// `static inline` and the rest of a function; its parameters get a line of their own where one would be too long.
    pub(super) fn function(&mut self, head: &str, parameters: &str, body: impl FnOnce(&mut Self)) {
        match head.len() + parameters.len() {
            0..=100 => self.line(format!("static inline {head}({parameters})")),
            _ => {
                self.line(format!("static inline {head}("));
                self.indented(|code| code.line(format!("{parameters})")));
            }
        }
        self.line("{");
        self.indented(body);
        self.line("}");
        self.line("");
    }

    /// What was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}
