//! The colours of charts: those of the page, and eight that people with any kind of colour sight can tell apart.
//!
//! The page's colours are the tokens of `style/tokens.css`, converted from OKLCH to sRGB. The eight begin with the hues
//! of Okabe and Ito; their lightness was moved until each stands out from the surface and the others, also as those with
//! protanopia and deuteranopia see them.

use plotters::style::RGBColor;

/// Which of the page's two colour schemes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Theme {
    /// Dark on light.
    #[default]
    Light,
    /// Light on dark.
    Dark,
}

/// The colours of one scheme.
#[derive(Clone, PartialEq, Debug)]
pub struct Colours {
    /// What the chart lies on: `--surface`.
    pub ground: RGBColor,
    /// Where there could be something: `--sunken`.
    pub sunken: RGBColor,
    /// Grid lines: `--line`.
    pub line: RGBColor,
    /// Axes: `--line-strong`.
    pub line_strong: RGBColor,
    /// Names and values: `--ink`.
    pub ink: RGBColor,
    /// Ticks and what matters less: `--ink-soft`.
    pub ink_soft: RGBColor,
    /// What stands alone: `--accent`.
    pub accent: RGBColor,
    /// What is told apart.
    pub palette: [RGBColor; 8],
}

const LIGHT: Colours = Colours {
    ground: RGBColor(255, 255, 255),
    sunken: RGBColor(236, 241, 243),
    line: RGBColor(212, 220, 222),
    line_strong: RGBColor(121, 137, 142),
    ink: RGBColor(21, 33, 38),
    ink_soft: RGBColor(76, 91, 96),
    accent: RGBColor(0, 104, 114),
    palette: [
        RGBColor(0x23, 0x52, 0xB8),
        RGBColor(0xE2, 0x71, 0x00),
        RGBColor(0x00, 0x5C, 0x47),
        RGBColor(0xB3, 0x73, 0xB3),
        RGBColor(0x11, 0x96, 0xF2),
        RGBColor(0x9F, 0x18, 0x0A),
        RGBColor(0x9D, 0x91, 0x77),
        RGBColor(0x64, 0x70, 0x77),
    ],
};

const DARK: Colours = Colours {
    ground: RGBColor(23, 32, 35),
    sunken: RGBColor(9, 15, 18),
    line: RGBColor(47, 58, 62),
    line_strong: RGBColor(104, 119, 125),
    ink: RGBColor(229, 237, 238),
    ink_soft: RGBColor(164, 177, 180),
    accent: RGBColor(97, 206, 212),
    palette: [
        RGBColor(0x3F, 0x63, 0xCC),
        RGBColor(0xFE, 0xAE, 0x00),
        RGBColor(0x44, 0x9A, 0x6E),
        RGBColor(0xE3, 0x86, 0xDC),
        RGBColor(0xAB, 0xD6, 0xFC),
        RGBColor(0xDC, 0x67, 0x00),
        RGBColor(0xB2, 0xB3, 0x97),
        RGBColor(0x5D, 0x6B, 0x74),
    ],
};

impl Theme {
    /// Its colours.
    pub fn colours(self) -> &'static Colours {
        match self {
            Self::Light => &LIGHT,
            Self::Dark => &DARK,
        }
    }
}

impl Colours {
    /// The colour of number `idx` among `n`: the accent where there is nothing to tell apart.
    pub fn among(&self, idx: usize, n: usize) -> RGBColor {
        if n <= 1 { self.accent } else { self.palette[idx % self.palette.len()] }
    }

    /// The ink that reads best on `fill`.
    pub fn ink_on(&self, fill: RGBColor) -> RGBColor {
        if contrast(self.ink, fill) >= contrast(self.ground, fill) { self.ink } else { self.ground }
    }

    /// A shade of `fill` for thin lines on it: away from the ink, so that words read no worse on them.
    pub fn shade_of(&self, fill: RGBColor) -> RGBColor {
        let is_ink_darker = luminance(self.ink_on(fill)) < luminance(fill);
        let (towards, share) = if is_ink_darker { (255.0, 0.55) } else { (0.0, 0.35) };
        let mixed = |channel: u8| (f64::from(channel) * (1.0 - share) + towards * share).round() as u8;
        RGBColor(mixed(fill.0), mixed(fill.1), mixed(fill.2))
    }
}

/// How far apart two colours are in lightness, as WCAG defines it: from 1 to 21.
pub fn contrast(one: RGBColor, other: RGBColor) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

fn luminance(RGBColor(red, green, blue): RGBColor) -> f64 {
    let linear = |channel: u8| {
        let share = f64::from(channel) / 255.0;
        if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_stands_out_from_the_ground() {
        assert!((contrast(RGBColor(0, 0, 0), RGBColor(255, 255, 255)) - 21.0).abs() < 1e-9);
        for theme in [Theme::Light, Theme::Dark] {
            let colours = theme.colours();
            for colour in colours.palette.iter().chain([&colours.accent, &colours.line_strong]) {
                let found = contrast(*colour, colours.ground);
                assert!(found >= 3.0, "{theme:?} {colour:?} {found:.2}");
            }
            for ink in [colours.ink, colours.ink_soft] {
                assert!(contrast(ink, colours.ground) >= 4.5 && contrast(ink, colours.sunken) >= 4.5);
            }
        }
    }

    #[test]
    fn lines_on_a_colour_can_be_seen_and_words_on_them_be_read() {
        for theme in [Theme::Light, Theme::Dark] {
            let colours = theme.colours();
            for fill in colours.palette {
                let (shade, ink) = (colours.shade_of(fill), colours.ink_on(fill));
                let (seen, read) = (contrast(shade, fill), contrast(shade, ink));
                assert!(seen >= 1.25 && read >= contrast(fill, ink), "{theme:?} {fill:?}: {seen:.2}, {read:.2}");
            }
        }
    }

    #[test]
    fn values_inside_bars_can_be_read() {
        for theme in [Theme::Light, Theme::Dark] {
            let colours = theme.colours();
            for fill in colours.palette.into_iter().chain([colours.accent]) {
                let found = contrast(colours.ink_on(fill), fill);
                assert!(found >= 4.5, "{theme:?} {fill:?} {found:.2}");
            }
        }
    }
}
