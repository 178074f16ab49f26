// A click is lost if its target is drawn anew between press and release.

const ENDS = ["pointerup", "pointercancel", "keyup", "blur"];
let over = Promise.resolve();

for (const press of ["pointerdown", "keydown"]) {
  addEventListener(press, () => {
    over = new Promise((resolve) => {
      const end = () => {
        for (const name of ENDS) removeEventListener(name, end, true);
        setTimeout(resolve); // after the click itself
      };
      for (const name of ENDS) addEventListener(name, end, true);
    });
  }, true);
}

/** Wait until nothing is pressed: no button of the mouse, no finger, no key. */
export async function released() {
  let known;
  do await (known = over); while (known !== over);
}
