//! Colours, as stap(1) has them: five things that have one, set by `SYSTEMTAP_COLORS`.

use annotate_snippets::Renderer;
use annotate_snippets::renderer::{AnsiColor, Effects, Style};

/// The colours of what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colors {
    /// The word `error` and its code.
    error: Style,
    /// The word `warning` and its code.
    warning: Style,
    /// The margin that says where in the source, and second places.
    source: Style,
    /// What points at the place.
    caret: Style,
    /// The message.
    token: Style,
}

const BOLD: Style = Style::new().effects(Effects::BOLD);

impl Default for Colors {
    /// `error=01;31:warning=00;33:source=00;34:caret=01:token=01`
    fn default() -> Self {
        Self {
            error: BOLD.fg_color(Some(AnsiColor::Red.into())),
            warning: AnsiColor::Yellow.on_default(),
            source: AnsiColor::Blue.on_default(),
            caret: BOLD,
            token: BOLD,
        }
    }
}

impl Colors {
    /// Reads `KEY=SGR:KEY=SGR…`, where an SGR is what stands between `ESC [` and `m`. Keys that are not named have no colour.
    /// Nothing where the text is empty or not of this form, which turns colours off.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let none = Style::new();
        let mut colors = Self { error: none, warning: none, source: none, caret: none, token: none };
        for pair in text.strip_suffix(':').unwrap_or(text).split(':') {
            let (key, sgr) = pair.split_once('=')?;
            let style = match key {
                "error" => &mut colors.error,
                "warning" => &mut colors.warning,
                "source" => &mut colors.source,
                "caret" => &mut colors.caret,
                "token" => &mut colors.token,
                _ => return None,
            };
            *style = anstyle_ls::parse(sgr)?;
        }
        Some(colors)
    }

    pub(super) fn renderer(self) -> Renderer {
        let Self { error, warning, source, caret, token } = self;
        let renderer = Renderer::styled().error(error).warning(warning).line_num(source).context(source);
        renderer.info(caret).emphasis(token).note(token).help(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_what_stap_says_it_is() {
        let said = Colors::parse("error=01;31:warning=00;33:source=00;34:caret=01:token=01");
        assert_eq!(said, Some(Colors::default()));
    }

    #[test]
    fn what_is_not_named_has_no_colour_and_nonsense_turns_all_off() {
        let plain = Style::new();
        let red = Colors::parse("error=38;5;208:").expect("colours");
        assert_eq!((red.warning, red.error == plain), (plain, false));
        for nonsense in
            ["", ":", "error", "error=", "error=red", "error=31;", "colour=31", "error=31:bogus=1", "\u{1b}"]
        {
            assert_eq!(Colors::parse(nonsense), None, "{nonsense:?}");
        }
    }
}
