//! Rules of webhook destinations.
