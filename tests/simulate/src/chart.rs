//! A picture of one disaster: the load at the alternate, and the calls that fail or end late.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::figures::{Figures, Series};

const SIZE: (u32, u32) = (900, 620);
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(120, 120, 120),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
];

/// Draws the figures of one disaster, which begins at a second.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(path: &Path, title: &str, figures: &[&Figures]) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let area = area.titled(title, ("sans-serif", 16))?;
    let halves = area.split_evenly((2, 1));
    let load = |series: &Series| series.alternate.clone();
    let hurt = |series: &Series| series.hurt.iter().map(|share| share * 100.0).collect();
    panel(
        &halves[0],
        "requests at the alternate, over the calls' rate",
        figures,
        load,
    )?;
    panel(
        &halves[1],
        "calls that fail or take more than 5 s, %",
        figures,
        hurt,
    )?;
    area.present()?;
    Ok(())
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    caption: &str,
    figures: &[&Figures],
    of: impl Fn(&Series) -> Vec<f64>,
) -> Result<(), Box<dyn Error>> {
    let all: Vec<Vec<f64>> = figures.iter().map(|figures| of(&figures.series)).collect();
    let seconds = all.iter().map(Vec::len).max().unwrap_or(1);
    let most = all
        .iter()
        .flatten()
        .fold(0.1, |most: f64, value| most.max(*value));
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 14))
        .margin(8)
        .margin_right(24)
        .x_label_area_size(28)
        .y_label_area_size(44)
        .build_cartesian_2d(0.0..seconds as f64, 0.0..most * 1.05)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("seconds")
        .x_label_formatter(&|second| format!("{second:.0}"))
        .draw()?;
    for ((values, figures), colour) in all.iter().zip(figures).zip(COLOURS) {
        let points = values
            .iter()
            .enumerate()
            .map(|(second, value)| (second as f64, *value));
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(figures.rules)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}
