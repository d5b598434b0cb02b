//! A guard that ends a program with everything it started, even where this process is killed and can do nothing more.

#[cfg(unix)]
mod unix {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    /// Waits for its standard input to be closed, which only this process holds open, and then kills a group of processes.
    const WAIT_AND_KILL: &str = r#"read -r _; kill -s KILL -- "-$1""#;

    /// Let a program lead a group of processes of its own.
    pub(crate) fn apart(command: &mut Command) {
        command.process_group(0);
    }

    /// Kills a program and what it started when it is dropped, or when this process is gone in whatever way.
    pub(crate) struct Guard(Option<Child>);

    impl Guard {
        /// Over a program that [`apart`] has set up. Where there is no shell to stand guard, the program alone is killed, by
        /// whoever holds it.
        pub(crate) fn over(program: &Child) -> Guard {
            let mut guard = Command::new("sh");
            guard.args(["-c", WAIT_AND_KILL, "guard", &program.id().to_string()]);
            // In a group of its own, so that Ctrl-C does not take the guard first.
            guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
            Guard(guard.spawn().ok())
        }
    }

    impl Drop for Guard {
        fn drop(&mut self) {
            if let Some(guard) = &mut self.0 {
                drop(guard.stdin.take());
                // Nobody can do anything about a guard that does not end.
                let _ = guard.wait();
            }
        }
    }
}

#[cfg(not(unix))]
mod other {
    use std::process::{Child, Command};

    /// There are no groups of processes here.
    pub(crate) fn apart(_: &mut Command) {}

    /// Guards nothing: the program alone is killed, by whoever holds it, and sees that its standard input is closed.
    pub(crate) struct Guard;

    impl Guard {
        pub(crate) fn over(_: &Child) -> Guard {
            Guard
        }
    }
}

#[cfg(not(unix))]
pub(super) use other::{Guard, apart};
#[cfg(unix)]
pub(super) use unix::{Guard, apart};
