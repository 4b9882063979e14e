//! The two halves of the client. `taprun`, privileged, takes a signed artifact from a file to text on standard output:
//! [`verify`], [`load`], [`attach`], [`run`].

pub mod kernel;

pub mod verify;

pub mod load;

pub mod attach;

pub mod interpret;

pub mod run;

pub mod output;
