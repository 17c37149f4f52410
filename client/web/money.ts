/** Amounts as people write and read them. Integers only: no float ever holds money. */

/** The cents in `10`, `10.5`, `.50` or `10.`; null for anything else. */
export function parseCents(text: string): number | null {
  const match = /^(\d{0,9})(?:[.。](\d{0,2}))?$/.exec(text.trim());
  if (match === null) return null;
  const [, yuan = '', fen = ''] = match;
  if (yuan === '' && fen === '') return null;
  return Number(yuan) * 100 + Number(fen.padEnd(2, '0'));
}

/** `1,234.50`, without a currency sign. */
export function formatAmount(cents: number): string {
  const whole = Math.abs(cents);
  const rest = whole % 100;
  const yuan = String((whole - rest) / 100).replaceAll(/\B(?=(\d{3})+$)/g, ',');
  return `${cents < 0 ? '−' : ''}${yuan}.${String(rest).padStart(2, '0')}`;
}

/** `¥1,234.50`. */
export function formatCents(cents: number): string {
  const amount = formatAmount(cents);
  return amount.startsWith('−') ? `−¥${amount.slice(1)}` : `¥${amount}`;
}
