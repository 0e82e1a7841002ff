"""One build function a page. Handlers are thin calls into functions that know no gradio."""
