//! What ends a server, or keeps it from starting. What is wrong with a request goes to who sent it.

/// Everything a caller of this crate can act on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {host}:{port}")]
    Listen {
        /// The host as given.
        host: String,
        /// The port as given.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// The system lacks what a server needs.
    #[error("cannot start the server")]
    Start {
        /// Why.
        source: std::io::Error,
    },
    /// The thread that owned the model ended by a panic.
    #[error("the engine broke down, and the server with it")]
    EngineGone,
}
