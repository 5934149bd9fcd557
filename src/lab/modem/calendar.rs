//! Wall time as this family writes it.

use crate::clock::UnixTime;

/// Year, month, day, hour, minute, second in UTC.
fn civil(time: UnixTime) -> (i64, i64, i64, i64, i64, i64) {
    let seconds = time.as_secs();
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to date by eras of 400 years that begin on 1 March (H. Hinnant, "chrono-compatible low-level date algorithms").
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day, of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// `yy/MM/dd,hh:mm:ss+00`, for `+CCLK`.
pub fn short(time: UnixTime) -> String {
    let (year, month, day, hour, minute, second) = civil(time);
    format!("{:02}/{month:02}/{day:02},{hour:02}:{minute:02}:{second:02}+00", year % 100)
}

/// `yyyy/MM/dd,hh:mm:ss+00,0`, for `+QLTS`.
pub fn long(time: UnixTime) -> String {
    let (year, month, day, hour, minute, second) = civil(time);
    format!("{year:04}/{month:02}/{day:02},{hour:02}:{minute:02}:{second:02}+00,0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_at_leap_days_and_ends_of_years() {
        assert_eq!(long(UnixTime::from_secs(0)), "1970/01/01,00:00:00+00,0");
        assert_eq!(long(UnixTime::from_secs(951_782_400)), "2000/02/29,00:00:00+00,0");
        assert_eq!(long(UnixTime::from_secs(1_735_689_599)), "2024/12/31,23:59:59+00,0");
        assert_eq!(short(UnixTime::from_secs(1_735_689_600)), "25/01/01,00:00:00+00");
    }
}
