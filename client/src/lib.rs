//! The two halves of the client. `taprun`, privileged, takes a signed artifact from a file to text on standard output:
//! [`verify`], [`load`], [`attach`], [`run`]. [`invoker`] says for whom, and [`interpret`] runs what the kernel does not.

pub mod kernel;

pub mod elf;

pub mod invoker;

pub mod verify;

pub mod inspect;

pub mod load;

pub mod attach;

pub mod interpret;

pub mod run;

pub mod output;
