import './widgets.css';
import './lab.css';
