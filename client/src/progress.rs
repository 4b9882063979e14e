//! What a person sees while a server works: a line that moves on a terminal, plain lines with `-v`, otherwise nothing.

use std::io::{self, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use shared::protocol::response::Progress;

use crate::render::plain;

/// Shows progress on standard error.
pub struct ProgressLine {
    bar: ProgressBar,
    is_shown: bool,
    verbose: bool,
    last_activity: String,
}

impl ProgressLine {
    /// Nothing is shown yet.
    #[must_use]
    pub fn new(on_terminal: bool, verbose: bool) -> Self {
        let target = if on_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        Self { bar, is_shown: on_terminal, verbose, last_activity: String::new() }
    }

    /// The server works.
    pub fn show(&mut self, progress: &Progress) {
        let activity = plain(&progress.activity).into_owned();
        if activity != self.last_activity {
            self.say(&activity);
            self.last_activity = activity;
            if self.is_shown {
                self.bar.set_message(self.last_activity.clone());
                self.bar.enable_steady_tick(Duration::from_millis(100));
            }
        }
        if !self.is_shown {
            return;
        }
        match progress.bytes_total {
            Some(total) if total > 0 => {
                self.bar.set_style(style("{spinner} {msg} {bytes}/{total_bytes}, {eta} left"));
                self.bar.set_length(total);
                self.bar.set_position(progress.bytes_done.min(total));
            }
            _ if progress.bytes_done > 0 => {
                self.bar.set_style(style("{spinner} {msg} {bytes}"));
                self.bar.set_position(progress.bytes_done);
            }
            _ => self.bar.set_style(style("{spinner} {msg}")),
        }
    }

    /// Says a line, if lines are wanted.
    pub fn say(&self, line: &str) {
        if self.verbose {
            // Where nobody listens any more, there is nobody to tell that either.
            let _ = self.bar.suspend(|| writeln!(io::stderr(), "{line}"));
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are ours; one that is wrong shows as the default.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
