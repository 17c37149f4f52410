import { fits, FOLDERS_DEEP_MAX, GENERATED, LINES_MAX, LONG_FILES } from './matrix.ts';
import type { SourceFile, Violation } from './source.ts';

/** An absolute path of the machine it was written on; put together, or this line would match. */
const WORKPLACE = new RegExp(String.raw`(^|[^\w.~/-])/${'work'}/`, 'm');

/** All that can be said about a file without reading it as code. */
export function checkFile({ path, text }: SourceFile): readonly Violation[] {
  const found: Violation[] = [];
  const report = (rule: string, message: string): void => {
    found.push({ rule, path, line: 1, message });
  };
  const folders = path.split('/').length - 1;
  if (folders > FOLDERS_DEEP_MAX)
    report('depth', `${folders} folders deep; ${FOLDERS_DEEP_MAX} do`);
  if (WORKPLACE.test(text)) report('machine-path', 'names a path of the machine it was written on');
  if (!/\.tsx?$/.test(path) || fits(path, GENERATED)) return found;
  const lines = text.split('\n').length - 1;
  const long = LONG_FILES.some(({ files }) => fits(path, [files]));
  if (lines > LINES_MAX && !long) {
    report('length', `${lines} lines: split it, or give the reason in test/tidy/matrix.ts`);
  }
  return found;
}
