//! Which part of a timeline or of long lines is looked at.

/// How far one can look into a chart: a hundred-thousandth of it.
const FINEST: f64 = 1e-5;

/// The part that is looked at; nothing where it is all of it.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct View {
    /// From and to, in the unit of x.
    pub range: Option<(f64, f64)>,
}

impl View {
    /// What is looked at of a chart that extends over `extent`.
    pub fn of(self, extent: (f64, f64)) -> (f64, f64) {
        self.range.unwrap_or(extent)
    }

    /// `factor` times as close, with what is at `share` of the width staying where it is.
    #[must_use]
    pub fn closer(self, extent: (f64, f64), factor: f64, share: f64) -> Self {
        let (from, to) = self.of(extent);
        let whole = extent.1 - extent.0;
        let length = ((to - from) / factor).clamp(FINEST * whole, whole.max(0.0));
        let still = from + share * (to - from);
        Self::within(extent, still - share * length, length)
    }

    /// Moved by `share` of what is seen, to later where positive.
    #[must_use]
    pub fn moved(self, extent: (f64, f64), share: f64) -> Self {
        let (from, to) = self.of(extent);
        Self::within(extent, from + share * (to - from), to - from)
    }

    fn within(extent: (f64, f64), from: f64, length: f64) -> Self {
        let whole = extent.1 - extent.0;
        if length >= whole * (1.0 - 1e-9) {
            return Self::default();
        }
        let from = from.clamp(extent.0, extent.1 - length);
        Self { range: Some((from, from + length)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENT: (f64, f64) = (10.0, 110.0);

    #[test]
    fn zooming_keeps_the_place_and_comes_back_to_all() {
        let closer = View::default().closer(EXTENT, 2.0, 0.25);
        assert_eq!(closer.range, Some((22.5, 72.5)));
        assert_eq!(closer.closer(EXTENT, 0.5, 0.25), View::default());
        let finest = (0..60).fold(View::default(), |view, _| view.closer(EXTENT, 2.0, 0.5)).of(EXTENT);
        assert!(finest.1 - finest.0 >= 0.9e-3 && finest.0 > EXTENT.0 && finest.1 < EXTENT.1);
    }

    #[test]
    fn panning_stops_at_the_ends() {
        let closer = View::default().closer(EXTENT, 4.0, 0.0);
        assert_eq!(closer.moved(EXTENT, 0.5).range, Some((22.5, 47.5)));
        assert_eq!(closer.moved(EXTENT, -3.0).range, Some((10.0, 35.0)));
        assert_eq!(closer.moved(EXTENT, 30.0).range, Some((85.0, 110.0)));
        assert_eq!(View::default().moved(EXTENT, 0.5), View::default());
    }

    #[test]
    fn a_chart_without_extent_does_not_zoom() {
        assert_eq!(View::default().closer((3.0, 3.0), 2.0, 0.5), View::default());
    }
}
