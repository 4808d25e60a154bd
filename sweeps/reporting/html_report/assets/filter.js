// The filter of the table: terms that all have to hold, alternatives separated by `or`.
//   accuracy > 0.6 -state:failed family:bump or "two words"

const COMPARISONS = {
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
};

/** Return the words of a filter; spaces inside of quotes and around comparisons do not separate. */
function wordsOf(text) {
  const joined = text.replace(/"[^"]*"?|\s*(>=|<=|!=|==|[=<>≥≤≠])\s*/g, (whole, sign) => sign || whole);
  return joined.match(/(?:"[^"]*"?|[^\s"])+/g) || [];
}

const unquoted = (text) => text.replace(/"/g, "");

/** Return the column that a name means: the whole name, or its last parts. */
function columnNamed(name) {
  const wanted = name.toLowerCase();
  const same = report.columns.find((column) => column.id.toLowerCase() === wanted);
  if (same) return { column: same };
  const ends = report.columns.filter((column) => {
    const id = column.id.toLowerCase();
    return id.endsWith(`.${wanted}`) || id.endsWith(`/${wanted}`);
  });
  const better = ends.filter((column) => column.swept);
  if (ends.length === 1) return { column: ends[0] };
  if (better.length === 1) return { column: better[0] };
  if (ends.length) return { problem: `"${name}" may be ${ends.map((c) => c.id).join(" or ")}` };
  const near = report.columns.filter((column) => column.id.toLowerCase().includes(wanted));
  const hint = near.length ? `; did you mean ${near.slice(0, 4).map((c) => c.id).join(", ")}?` : "";
  return { problem: `There is no column "${name}"${hint}` };
}

/** Return a number if a text is one, perhaps in percent, otherwise null. */
function asNumber(text) {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(%?)$/i.exec(text);
  return match ? Number(match[1]) / (match[2] ? 100 : 1) : null;
}

/** Return whether a value equals what was typed. */
function equals(value, text) {
  if (value === null) return text.toLowerCase() === NONE;
  if (typeof value === "number") return value === asNumber(text);
  return value.toLowerCase() === text.toLowerCase();
}

/** Return a test of runs for one term, or the problem with it. */
function termOf(word) {
  const parts = /^([^":=<>!≥≤≠]+)(>=|<=|!=|==|[:=<>≥≤≠])(.*)$/.exec(word);
  if (!parts) {
    const wanted = unquoted(word).toLowerCase();
    return { test: (run) => textOf(run).includes(wanted) };
  }
  const { column, problem } = columnNamed(parts[1]);
  if (problem) return { problem };
  const sign = { "≥": ">=", "≤": "<=", "≠": "!=", "==": "=" }[parts[2]] || parts[2];
  const text = unquoted(parts[3]);
  if (text === "") return { problem: `"${word}": a value is missing` };
  if (sign === "=") return { test: (run) => equals(valueOf(column, run), text) };
  if (sign === "!=") return { test: (run) => !equals(valueOf(column, run), text) };
  if (sign === ":") {
    const wanted = text.toLowerCase();
    return { test: (run) => String(valueOf(column, run) ?? NONE).toLowerCase().includes(wanted) };
  }
  const bound = asNumber(text);
  if (bound === null) return { problem: `"${word}": ${sign} needs a number, not "${text}"` };
  if (!column.numeric) return { problem: `"${word}": ${column.id} has texts; use : or =` };
  const compare = COMPARISONS[sign];
  return {
    test: (run) => {
      const value = valueOf(column, run);
      return value !== null && compare(value, bound);
    },
  };
}

const texts = [];

/** Return the text of a run that a word without a column is looked up in, in lower case. */
function textOf(run) {
  if (texts[run] === undefined) {
    const about = report.columns.filter((column) => column.group === "run" || column.swept);
    const values = about.map((column) => String(valueOf(column, run) ?? NONE));
    texts[run] = [...values, report.reasons[run] || ""].join("\n").toLowerCase();
  }
  return texts[run];
}

/** Return `test`, which tells whether a run passes a filter, and the `problem` with it or "". */
function parseFilter(text) {
  const alternatives = [[]];
  for (const word of wordsOf(text)) {
    if (/^(or|\|\|?)$/i.test(word)) {
      alternatives.push([]);
      continue;
    }
    if (/^(and|&&?)$/i.test(word)) continue;
    const negated = word.length > 1 && word.startsWith("-") && asNumber(word) === null;
    const { test, problem } = termOf(negated ? word.slice(1) : word);
    if (problem) return { test: () => true, problem };
    alternatives[alternatives.length - 1].push(negated ? (run) => !test(run) : test);
  }
  const all = alternatives.length === 1 ? alternatives : alternatives.filter((terms) => terms.length);
  return {
    test: (run) => !all.length || all.some((terms) => terms.every((test) => test(run))),
    problem: "",
  };
}
