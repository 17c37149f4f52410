import { useEffect, useRef } from 'preact/hooks';

const PIECES = 90;
const LIFE_MS = 2_200;
const COLOURS = ['#f2cf86', '#e0a93b', '#fff3d6', '#e2523d', '#ff8a5c', '#c93a2b'];

type Piece = {
  x: number;
  y: number;
  dx: number;
  dy: number;
  turn: number;
  spin: number;
  readonly width: number;
  readonly height: number;
  readonly colour: string;
};

function makePiece(width: number, height: number): Piece {
  const angle = -Math.PI / 2 + (Math.random() - 0.5) * 2.2;
  const speed = 5 + Math.random() * 8;
  return {
    x: width / 2,
    y: height * 0.42,
    dx: Math.cos(angle) * speed,
    dy: Math.sin(angle) * speed,
    turn: Math.random() * Math.PI,
    spin: (Math.random() - 0.5) * 0.35,
    width: 5 + Math.random() * 5,
    height: 7 + Math.random() * 7,
    colour: COLOURS[Math.floor(Math.random() * COLOURS.length)] ?? '#f2cf86',
  };
}

function move(piece: Piece, frames: number): void {
  piece.x += piece.dx * frames;
  piece.y += piece.dy * frames;
  piece.dx *= 0.985 ** frames;
  piece.dy = piece.dy * 0.985 ** frames + 0.22 * frames;
  piece.turn += piece.spin * frames;
}

function paint(context: CanvasRenderingContext2D, pieces: readonly Piece[], alpha: number): void {
  context.globalAlpha = alpha;
  for (const piece of pieces) {
    context.save();
    context.translate(piece.x, piece.y);
    context.rotate(piece.turn);
    // Paper that turns in the air: its width comes and goes.
    context.scale(Math.abs(Math.cos(piece.turn * 2.3)) * 0.9 + 0.1, 1);
    context.fillStyle = piece.colour;
    context.fillRect(-piece.width / 2, -piece.height / 2, piece.width, piece.height);
    context.restore();
  }
}

/** Paper and gold for two seconds; nothing for those who asked for less motion. */
export function Confetti() {
  const ref = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const canvas = ref.current;
    const context = canvas?.getContext('2d') ?? null;
    const isCalm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    if (canvas === null || context === null || isCalm) return undefined;
    const { clientWidth: width, clientHeight: height } = canvas;
    const ratio = Math.min(2, devicePixelRatio);
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const pieces = Array.from({ length: PIECES }, () => makePiece(width, height));
    const begun = performance.now();
    let last = begun;
    let frame = requestAnimationFrame(function draw(now: number): void {
      const age = now - begun;
      const frames = Math.min(3, (now - last) / 16.7);
      last = now;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, height);
      if (age > LIFE_MS) return;
      for (const piece of pieces) move(piece, frames);
      paint(context, pieces, Math.min(1, (LIFE_MS - age) / 600));
      frame = requestAnimationFrame(draw);
    });
    return () => cancelAnimationFrame(frame);
  }, []);
  return <canvas ref={ref} class="confetti" aria-hidden="true" />;
}
