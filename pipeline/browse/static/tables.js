// Makes Datasette's own pages shorter: the SQL behind a table is folded. A page without this script shows it.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("pre.wrapped-sql").forEach((sql) => {
    const folded = document.createElement("details");
    folded.className = "mw-json";
    folded.append(Object.assign(document.createElement("summary"), { textContent: "The SQL behind it" }));
    sql.replaceWith(folded);
    folded.append(sql);
  });
  const search = document.querySelector("input#_search");
  if (search) search.placeholder = "whole words of id, owner, name";
});
