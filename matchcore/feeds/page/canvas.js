// A canvas that fills its element, in the pixels of the screen.
const DIGITS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace";

export class Surface {
  constructor(canvas, resized) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.width = this.height = 0;
    new ResizeObserver(() => {
      this.fit();
      resized();
    }).observe(canvas);
    this.fit();
  }

  fit() {
    const { clientWidth, clientHeight } = this.canvas;
    const scale = devicePixelRatio || 1;
    this.width = clientWidth;
    this.height = clientHeight;
    this.canvas.width = Math.round(clientWidth * scale);
    this.canvas.height = Math.round(clientHeight * scale);
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
  }

  clear() {
    const { context } = this;
    context.clearRect(0, 0, this.width, this.height);
    context.font = `12px ${DIGITS}`;
    context.textBaseline = "middle";
    return context;
  }

  /** A text that ends (or begins, or is centred) at x. */
  text(words, x, y, colour, align = "right") {
    this.context.fillStyle = colour;
    this.context.textAlign = align;
    this.context.fillText(words, x, y);
  }
}
