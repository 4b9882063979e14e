//! The text form of a tree.
