/** One of eight colours by name, so that a person looks the same everywhere. */
const TINTS = 8;

function tintOf(name: string): number {
  let hash = 0;
  for (const char of name) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) % 65_521;
  return hash % TINTS;
}

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** The first letter, or the first whole character of any script. */
function initialOf(name: string): string {
  const [first] = segmenter.segment(name.trim());
  return (first?.segment ?? '?').toUpperCase();
}

export function Avatar(props: { readonly name: string; readonly class?: string }) {
  const { name } = props;
  return (
    <span class={`avatar tint-${tintOf(name)} ${props.class ?? ''}`} aria-hidden="true">
      {initialOf(name)}
    </span>
  );
}
