//! Columns of text for people: as wide as needed, two spaces between, no trailing blanks.

/// Renders a header and rows; every row has as many cells as the header.
pub(super) fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| width(cell)).collect();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            widths[column] = widths[column].max(width(cell));
        }
    }
    let header: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    std::iter::once(&header)
        .chain(rows)
        .map(|row| line(row, &widths))
        .collect()
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width_wanted) in cells.iter().zip(widths) {
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', width_wanted - width(cell) + 2));
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_line_up_and_end_without_blanks() {
        let rows = vec![
            vec!["apps".to_owned(), "True".to_owned()],
            vec!["cert-manager".to_owned(), String::new()],
        ];
        let table = super::render(&["NAME", "READY"], &rows);
        assert_eq!(
            table,
            "NAME          READY\napps          True\ncert-manager\n"
        );
    }
}
