// Shows times in the reader's time zone; without this script they are in UTC.
"use strict";
(() => {
  const units = [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60]];
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
  const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
  const dayOfYear = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });

  function ago(at) {
    const seconds = (at - Date.now()) / 1000;
    for (const [unit, length] of units) {
      if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit);
    }
    return "just now";
  }

  function show(element) {
    const written = element.dateTime;
    const isDay = written.length === 10;
    const at = new Date(isDay ? written + "T00:00:00Z" : written);
    if (Number.isNaN(at.valueOf())) return;
    const isThisYear = at.getFullYear() === new Date().getFullYear();
    element.title = isDay ? written : `${exact.format(at)} (${written})`;
    switch (element.dataset.how) {
      case "ago": element.textContent = ago(at); break;
      case "until": element.textContent = `${written.slice(0, 10)}, ${ago(at)}`; break;
      case "day": element.textContent = (isThisYear ? day : dayOfYear).format(at); break;
      default: if (!isDay) element.textContent = whole.format(at);
    }
  }

  const showAll = () => document.querySelectorAll("time[datetime]").forEach(show);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", showAll);
  else showAll();
})();
