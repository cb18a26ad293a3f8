//! `completions`: what a shell needs to complete this command line.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Exit, Terminal};

#[derive(Debug, Args)]
pub struct Completions {
    /// Whose completions to write
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub fn run(self, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        terminal.line(script(self.shell)?.trim_end())?;
        Ok(Exit::Success)
    }
}

fn script(shell: Shell) -> anyhow::Result<String> {
    let (mut command, mut script) = (Cli::command(), Vec::new());
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut script);
    Ok(String::from_utf8(script)?)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_gets_a_script_that_knows_every_command() {
        let command = Cli::command();
        let commands: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
        assert!(commands.len() > 8, "{commands:?}");
        for shell in Shell::value_variants() {
            let script = script(*shell).unwrap();
            for command in &commands {
                assert!(script.contains(command), "{shell} does not know {command}");
            }
        }
    }

    #[test]
    fn bash_can_read_its_own() {
        let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
        bash.stdin.take().unwrap().write_all(script(Shell::Bash).unwrap().as_bytes()).unwrap();
        assert!(bash.wait().unwrap().success());
    }
}
