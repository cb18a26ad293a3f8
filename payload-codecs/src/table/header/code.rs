//! Lines of C, indented by the braces around them.

/// C as it grows.
#[derive(Debug, Default)]
pub(super) struct Code {
    text: String,
    depth: usize,
}

impl Code {
    /// One line, or an empty one.
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        let line = line.as_ref();
        if !line.is_empty() {
            self.text.push_str(&"    ".repeat(self.depth));
            self.text.push_str(line);
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

    /// A struct or an enum: a block with a semicolon, and an empty line.
    pub(super) fn definition(&mut self, head: impl AsRef<str>, body: impl FnOnce(&mut Self)) {
        self.line(format!("{} {{", head.as_ref()));
        self.indented(body);
        self.line("};");
        self.line("");
    }

    /// A function: its head and the braces of its body stand on lines of their own.
    pub(super) fn function(&mut self, head: impl AsRef<str>, body: impl FnOnce(&mut Self)) {
        self.line(head);
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
