//! The C or C++ compiler of this machine, and programs made with it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A language, as strict as the compilers can be told to be.
#[derive(Clone, Copy, Debug)]
pub enum Language {
    C99,
    Cpp11,
}

/// A compiled program.
pub struct Program {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Program {
    /// Compiles `source`, which may include `headers` (name and text).
    ///
    /// A machine without a compiler fails the test: a header that nobody compiled is not checked at all.
    pub fn compile(language: Language, source: &str, headers: &[(String, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in headers {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let (main, standard, variable, usual) = match language {
            Language::C99 => ("main.c", "-std=c99", "CC", "cc"),
            Language::Cpp11 => ("main.cpp", "-std=c++11", "CXX", "c++"),
        };
        std::fs::write(folder.path().join(main), source).unwrap();
        let path = folder.path().join("program");
        let compiler = std::env::var(variable).unwrap_or_else(|_| usual.to_owned());
        compile(&compiler, standard, &folder.path().join(main), &path);
        Self { path, _folder: folder }
    }

    /// Runs it with this on its standard input, to a good end; what it printed.
    pub fn run(&self, input: &str) -> String {
        let mut command = Command::new(&self.path);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The input is shorter than a pipe holds, so that this cannot wait for the program's output to be read.
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// `compiler` may have arguments of its own: `CC="cc -fsanitize=undefined"`.
fn compile(compiler: &str, standard: &str, source: &Path, program: &Path) {
    let mut words = compiler.split_whitespace();
    let mut command = Command::new(words.next().expect("a compiler has a name"));
    command.args(words).args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]);
    let compiled = command.arg(source).arg("-o").arg(program).output();
    let compiled = compiled.unwrap_or_else(|cause| {
        panic!(
            "cannot run `{compiler}`: {cause}. These tests compile C and C++: install gcc and g++, or set CC and CXX"
        )
    });
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
}
