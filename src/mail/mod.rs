//! Letters, rendering, the SMTP session.
