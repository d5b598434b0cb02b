//! Ctrl-C: leave at once with 130, or, where something must be tidied first, as soon as that is done.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::output::say;

/// The exit code of an interrupted command, as shells have it.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

/// Whether the user asked to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<State>);

#[derive(Debug, Default)]
struct State {
    requested: AtomicBool,
    held: AtomicUsize,
    farewell: Mutex<Option<String>>,
}

/// While one exists, Ctrl-C only sets [`Interrupt::requested`].
#[derive(Debug)]
pub(crate) struct Hold<'a>(&'a State);

impl Interrupt {
    /// Start to listen.
    #[expect(clippy::disallowed_methods, reason = "only the signal's own thread can end a computation")]
    pub(crate) fn watch() -> Interrupt {
        let interrupt = Interrupt::default();
        let state = Arc::clone(&interrupt.0);
        let farewell = interrupt.clone();
        // A second Ctrl-C leaves at once, whatever is left lying about.
        let leave_at_once =
            move || state.requested.swap(true, Ordering::SeqCst) || state.held.load(Ordering::SeqCst) == 0;
        let listening = ctrlc::set_handler(move || {
            if leave_at_once() {
                if let Some(farewell) = farewell.0.farewell.lock().ok().and_then(|mut farewell| farewell.take()) {
                    say(farewell);
                }
                std::process::exit(EXIT_INTERRUPTED.into());
            }
        });
        // Without a handler Ctrl-C still ends the process, in the system's own way.
        drop(listening);
        interrupt
    }

    /// Whether Ctrl-C was pressed.
    pub(crate) fn requested(&self) -> bool {
        self.0.requested.load(Ordering::SeqCst)
    }

    /// What to say when Ctrl-C ends the command: how to go on.
    pub(crate) fn on_leaving(&self, farewell: String) {
        if let Ok(mut kept) = self.0.farewell.lock() {
            *kept = Some(farewell);
        }
    }

    /// Keep the process alive to tidy up.
    pub(crate) fn hold(&self) -> Hold<'_> {
        self.0.held.fetch_add(1, Ordering::SeqCst);
        Hold(&self.0)
    }
}

/// A flag that SIGTERM sets from here on, instead of ending the process. Only Unix has that signal.
pub(crate) fn terminations() -> Arc<AtomicBool> {
    let terminated = Arc::default();
    // Where it cannot be listened to, it still ends the process, in the system's own way.
    #[cfg(unix)]
    let _ = signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&terminated));
    terminated
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::SeqCst);
    }
}
